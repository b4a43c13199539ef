"""The contract's messages, as protoc makes them of proto/lossd/v1/loss_service.proto.

They are committed so that `pip install` needs neither protoc nor the proto beside
this folder; tests/client/python/test_generated.py makes them anew and compares.
From the repository's root:

    protoc -I proto --python_out=client/python --pyi_out=client/python \\
      lossd/v1/loss_service.proto
"""

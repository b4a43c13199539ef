# Calls lossd from Ruby: a batch's loss and gradient, by the proto alone.

require 'optparse'

require 'google/protobuf/well_known_types'
require 'google/rpc/error_details_pb'
require 'grpc'
require 'lossd/v1/loss_service_services_pb'

V1 = Lossd::V1

# Tensors lie row-major and little-endian in `raw`.
def floats(values, shape)
  V1::Tensor.new(data_type: :DATA_TYPE_FLOAT32, shape: shape, raw: values.pack('e*'))
end

def to_floats(tensor)
  tensor.raw.unpack('e*')
end

def compute(stub, request)
  stub.compute_loss(request, deadline: Time.now + 10)
end

def show(stub, label)
  answer = compute(stub, V1::ComputeLossRequest.new(
    logits: floats([2, 1, 0.1, 0, 3, 0], [2, 3]),
    labels: V1::Tensor.new(shape: [2], int64_values: V1::Int64Values.new(values: [label, 1]))))
  puts "loss #{answer.loss}"
  gradient = to_floats(answer.gradient).map { |value| value.round(9) }
  puts "gradient #{gradient[0, 3]}"
  puts "         #{gradient[3, 3]}"
end

# Sends a file with a serialized ComputeLossRequest; prints the answer's bits.
def replay(stub, path)
  answer = compute(stub, V1::ComputeLossRequest.decode(File.binread(path)))
  loss = answer.has_loss? ? [answer.loss].pack('G').unpack1('H*') : '-'
  puts "#{loss} #{answer.gradient.raw.unpack1('H*')}"
end

# Says what failed and, from the google.rpc.ErrorInfo of lossd's own errors, why.
def explain(error)
  warn "#{error.class.name.split('::').last}: #{error.details}"
  details = error.to_rpc_status&.details || []
  details.select { |detail| detail.is(Google::Rpc::ErrorInfo) }.each do |detail|
    info = detail.unpack(Google::Rpc::ErrorInfo)
    warn "reason #{info.reason}, #{info.metadata.to_h}"
  end
end

target = '127.0.0.1:50051'
label = 0
files = OptionParser.new do |options|
  options.on('--target TARGET', 'HOST:PORT of lossd') { |value| target = value }
  options.on('--label LABEL', Integer, "the first row's label") { |value| label = value }
end.parse(ARGV)

begin
  unlimited = { 'grpc.max_receive_message_length' => -1, 'grpc.max_send_message_length' => -1 }
  stub = V1::LossService::Stub.new(target, :this_channel_is_insecure, channel_args: unlimited)
  files.each { |path| replay(stub, path) }
  show(stub, label) if files.empty?
rescue GRPC::BadStatus => e
  explain(e)
  exit 1
end

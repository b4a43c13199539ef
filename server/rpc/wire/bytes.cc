#include "server/rpc/wire/bytes.h"

namespace lossd::rpc::wire {

void Bytes::Clear() {
  pieces_.clear();
  own_.clear();
  size_ = 0;
}

void Bytes::Append(Pieces pieces) {
  if (size_ > 0) {
    for (const Run& run : pieces) AppendCopy(run);
    return;
  }
  pieces_.assign(pieces.begin(), pieces.end());
  for (const Run& run : pieces) size_ += run.size();
}

void Bytes::AppendCopy(Run run) {
  if (run.empty()) return;
  MakeOwn();
  own_.insert(own_.end(), run.begin(), run.end());
  ViewOwn();
}

Run Bytes::Contiguous() {
  if (pieces_.size() > 1) MakeOwn();
  return pieces_.empty() ? Run() : pieces_.front();
}

void Bytes::MakeOwn() {
  if (!own_.empty()) return;
  own_.reserve(size_);
  for (const Run& run : pieces_)
    own_.insert(own_.end(), run.begin(), run.end());
  ViewOwn();
}

void Bytes::ViewOwn() {
  pieces_.assign(1, Run(own_.data(), own_.size()));
  size_ = own_.size();
}

}  // namespace lossd::rpc::wire

//! The Open Inference Protocol on the wire: JSON, binary tensors and row JSON.

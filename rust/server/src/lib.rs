//! HTTP listeners of the data plane: routes, limits, pass-through to the control plane, drain.

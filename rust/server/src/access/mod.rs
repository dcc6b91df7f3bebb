//! Who may do what, and how often: API keys, tokens, roles bound to models, rate limits.
//!
//! One piece of code for HTTP, gRPC and what is passed to the control plane: a listener turns a
//! request into an [`Action`] on a model and asks [`Access::admit`].

mod action;
mod admit;
mod credentials;
mod keys;
mod keyset;
mod rate;
mod role;
mod tokens;

pub(crate) use action::of_method;
pub use action::{Action, Asked, of_control, of_route};
pub use admit::{Access, Caller, Pass, Refusal};
pub use credentials::Credentials;
pub use keys::Keys;
pub use rate::{Allowance, Rate, Rates};
pub use role::{Grant, Role};
pub use tokens::{Rules, Tokens};

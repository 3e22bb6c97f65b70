//! The sample as its users see it: through files, rows and the public functions.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod decode;
mod life;
mod making;
mod proof;
mod tree;

//! What the fuzz targets do with one input; replayed by the tests. Not part of the public interface.
//!
//! Each body holds what the crate says against a second opinion: the rules once more, as plain
//! loops that share no code with what they judge. Each takes the function under test as a
//! parameter, so that a wrong one can be planted, to see that it would be found.

// The second opinion is meant to be naive, and to panic where the first is wrong.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::panic)]

mod addr;
mod cmsg;
mod round_trip;

pub use addr::{Text, addr_raw, addr_raw_with, addr_text, addr_text_with};
pub use cmsg::{Found, cmsg_accessors, cmsg_walk, cmsg_walk_with};
pub use round_trip::{Part, Pushed, cmsg_round_trip, cmsg_round_trip_with};

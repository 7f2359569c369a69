//! What a program with std gets beside the rest: conversions from and to std's own sockets,
//! addresses and errors, and std's traits of streams. Nothing here changes what the rest does.

mod addr;
mod errors;
mod sockets;
mod streams;

pub use addr::StdAddrError;

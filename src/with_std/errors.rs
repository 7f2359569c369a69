//! Errors into `std::io::Error`.
//!
//! What the kernel said becomes an error of the operating system, with its number in
//! `raw_os_error`. What was found out without the kernel keeps its words and figures, as the source
//! that `get_ref` gives, with the kind that its errno has; such an error is allocated, as std has it.

use std::io;

use super::addr::StdAddrError;
use crate::Errno;
use crate::error::{
    AcceptError, AddrError, AdoptError, BatchFull, CapacityError, DecodeError, ListenError,
    PeerError, RecvError, Refused, SendError, SocketFileError, WrongSocket,
};

/// An error of ours with its own words, and the kind of its errno.
fn worded<E>(errno: Errno, error: E) -> io::Error
where
    E: core::error::Error + Send + Sync + 'static,
{
    io::Error::new(errno.kind(), error)
}

/// Implements it for what the kernel never said.
macro_rules! impl_worded {
    ($($Error:ident)+) => {$(
        /// Keeps the error, whose kind is that of its errno: `get_ref` gives it back. (There is no
        /// `raw_os_error`, which no kernel said.) With the feature `std`.
        impl From<$Error> for io::Error {
            fn from(error: $Error) -> Self {
                worded(error.errno(), error)
            }
        }
    )+};
}

/// Implements it for what the kernel may have said.
macro_rules! impl_kernel_or_worded {
    ($($Error:ident: $($Kernel:ident)+;)+) => {$(
        /// What the kernel said is an error of the operating system, with `raw_os_error`; else the
        /// error is kept, for `get_ref`, and its kind is that of its errno. With the feature `std`.
        impl From<$Error> for io::Error {
            fn from(error: $Error) -> Self {
                match error {
                    $($Error::$Kernel(errno))|+ => errno.into(),
                    other => worded(other.errno(), other),
                }
            }
        }
    )+};
}

impl_worded!(AddrError DecodeError CapacityError BatchFull Refused StdAddrError);
impl_kernel_or_worded! {
    AcceptError: Kernel;
    WrongSocket: Kernel;
    SendError: Kernel;
    RecvError: Kernel;
    PeerError: Kernel Accept Unsupported;
}

/// The reason alone, as that converts: the descriptor is closed. With the feature `std`.
impl From<AdoptError> for io::Error {
    fn from(error: AdoptError) -> Self {
        error.reason().into()
    }
}

/// What the kernel said, as an error of the operating system: the socket is closed. With the feature
/// `std`.
impl<S> From<ListenError<S>> for io::Error {
    fn from(error: ListenError<S>) -> Self {
        error.errno().into()
    }
}

/// What the kernel said is an error of the operating system, with `raw_os_error`, which does not tell the
/// step; else the error is kept, for `get_ref`, and its kind is that of its errno. With the feature `std`.
impl From<SocketFileError> for io::Error {
    fn from(error: SocketFileError) -> Self {
        match error {
            SocketFileError::Kernel { errno, .. } => errno.into(),
            other => worded(other.errno(), other),
        }
    }
}

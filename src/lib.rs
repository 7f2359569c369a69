#![doc = include_str!("../README.md")]
#![no_std]
#![deny(
    missing_docs,
    unsafe_code,
    clippy::arithmetic_side_effects,
    clippy::cast_lossless,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]
// Tests may fail, and say so by panicking.
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]
#![doc(test(attr(deny(warnings))))]

#[cfg(not(target_os = "linux"))]
compile_error!("afunix speaks to the Linux kernel directly and works on Linux only");

#[cfg(any(test, feature = "std"))]
extern crate std;

mod addr;
mod ancillary;
mod cred;
mod error;
mod message;
mod peer;
mod socket;
mod socket_file;
mod sys;
mod wire;
#[cfg(feature = "embedded-io-07")]
mod with_embedded_io;
#[cfg(feature = "std")]
mod with_std;

// Public for the fuzz targets and their replay alone; what it finds wrong it says by a panic.
#[doc(hidden)]
pub mod fuzzing;

#[doc = include_str!("kernel.md")]
pub mod kernel {}

#[cfg(feature = "std")]
#[doc = include_str!("from_std.md")]
pub mod from_std {}

pub use addr::{ABSTRACT_NAME_MAX, AddrKind, AddrText, SUN_PATH_LEN, UnixAddr};
pub use ancillary::{
    Ancillary, AncillaryBuf, AncillaryWriter, ControlMessage, Fds, FdsIntoIter, FdsIter, Space,
    TakeFds, Unknown,
};
pub use cred::{Credentials, PidFd};
pub use error::{
    AcceptError, AddrError, AdoptError, BatchFull, CapacityError, DecodeError, ListenError,
    PeerError, RecvError, Refused, SendError, SocketFileError, Step, Truncation, Wanted,
    WrongSocket,
};
pub use message::{
    BatchBuf, BatchMessage, BatchMessages, RecvBatch, RecvOptions, SendBatch, SendOptions, Sent,
    passcred, passpidfd, recv_batch, recv_fds, recv_fds_exact, recv_fds_into, recv_with,
    send_batch, send_fds, send_with, set_passcred, set_passpidfd,
};
pub use peer::{
    Peer, PeerCredentials, peer, peer_credentials, peer_groups, peer_pidfd, peer_security_context,
};
#[doc(no_inline)]
pub use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
#[doc(no_inline)]
pub use rustix::fs::{FileType, Gid, Uid};
#[doc(no_inline)]
pub use rustix::io::{Errno, IoSlice, IoSliceMut};
#[doc(no_inline)]
pub use rustix::net::Shutdown;
#[doc(no_inline)]
pub use rustix::process::Pid;
pub use socket::{
    Deadline, Received, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};
pub use socket_file::{FileAddr, SocketFile, SocketFileOptions};
#[cfg(feature = "embedded-io-07")]
pub use with_embedded_io::IoError;
#[cfg(feature = "std")]
pub use with_std::StdAddrError;

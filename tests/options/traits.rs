//! The options behind traits, so that one test can ask each type the same question.

use std::time::Duration;

use afunix::{
    AsRawFd, Errno, UnixAddr, UnixDatagram, UnixListener, UnixSeqpacket, UnixSeqpacketListener,
    UnixStream,
};

use crate::common::kinds::{Data, Socket};
use crate::common::passes::Passes;

pub const SO_PASSRIGHTS: i32 = 83;
pub const SO_INQ: i32 = 84;

/// What all five can be told.
pub trait Options: Socket {
    fn try_clone(&self) -> Result<Self, Errno>;
    fn passrights(&self) -> Result<bool, Errno>;
    fn set_passrights(&self, on: bool) -> Result<(), Errno>;
    fn passsec(&self) -> Result<bool, Errno>;
    fn set_passsec(&self, on: bool) -> Result<(), Errno>;
    fn passcred(&self) -> Result<bool, Errno>;
    fn set_credentials(&self, on: bool) -> Result<(), Errno>;
    /// `read_timeout` or `accept_timeout`.
    fn limit(&self) -> Result<Option<Duration>, Errno>;
    fn set_limit(&self, limit: Option<Duration>) -> Result<(), Errno>;
}

/// What the three that carry data can be told.
pub trait Queue: Data + Options + Passes {
    fn write_timeout(&self) -> Result<Option<Duration>, Errno>;
    fn set_write_timeout(&self, limit: Option<Duration>) -> Result<(), Errno>;
    fn send_buffer_size(&self) -> Result<usize, Errno>;
    fn set_send_buffer_size(&self, bytes: usize) -> Result<(), Errno>;
    fn unread_memory(&self) -> Result<usize, Errno>;
    /// `bytes_readable` or `next_message_size`.
    fn readable(&self) -> Result<usize, Errno>;
    fn peek_offset(&self) -> Result<Option<u32>, Errno>;
    fn set_peek_offset(&self, offset: Option<u32>) -> Result<(), Errno>;
    fn autobind_to(&self) -> Result<UnixAddr, Errno>;
    /// How many bytes a peek has put into the buffer.
    fn look(&self, buf: &mut [u8]) -> Result<usize, Errno>;
}

macro_rules! impl_options {
    ($($Type:ident $limit:ident $set_limit:ident),+) => {
        $(impl Options for $Type {
            fn try_clone(&self) -> Result<Self, Errno> {
                self.try_clone()
            }
            fn passrights(&self) -> Result<bool, Errno> {
                self.passrights()
            }
            fn set_passrights(&self, on: bool) -> Result<(), Errno> {
                self.set_passrights(on)
            }
            fn passsec(&self) -> Result<bool, Errno> {
                self.passsec()
            }
            fn set_passsec(&self, on: bool) -> Result<(), Errno> {
                self.set_passsec(on)
            }
            fn passcred(&self) -> Result<bool, Errno> {
                self.passcred()
            }
            fn set_credentials(&self, on: bool) -> Result<(), Errno> {
                self.set_passcred(on)
            }
            fn limit(&self) -> Result<Option<Duration>, Errno> {
                self.$limit()
            }
            fn set_limit(&self, limit: Option<Duration>) -> Result<(), Errno> {
                self.$set_limit(limit)
            }
        })+
    };
}

impl_options!(
    UnixStream read_timeout set_read_timeout,
    UnixDatagram read_timeout set_read_timeout,
    UnixSeqpacket read_timeout set_read_timeout,
    UnixListener accept_timeout set_accept_timeout,
    UnixSeqpacketListener accept_timeout set_accept_timeout
);

macro_rules! impl_queue {
    ($($Type:ident $readable:ident $look:expr),+) => {
        $(impl Queue for $Type {
            fn write_timeout(&self) -> Result<Option<Duration>, Errno> {
                self.write_timeout()
            }
            fn set_write_timeout(&self, limit: Option<Duration>) -> Result<(), Errno> {
                self.set_write_timeout(limit)
            }
            fn send_buffer_size(&self) -> Result<usize, Errno> {
                self.send_buffer_size()
            }
            fn set_send_buffer_size(&self, bytes: usize) -> Result<(), Errno> {
                self.set_send_buffer_size(bytes)
            }
            fn unread_memory(&self) -> Result<usize, Errno> {
                self.unread_memory()
            }
            fn readable(&self) -> Result<usize, Errno> {
                self.$readable()
            }
            fn peek_offset(&self) -> Result<Option<u32>, Errno> {
                self.peek_offset()
            }
            fn set_peek_offset(&self, offset: Option<u32>) -> Result<(), Errno> {
                self.set_peek_offset(offset)
            }
            fn autobind_to(&self) -> Result<UnixAddr, Errno> {
                self.autobind_to()
            }
            fn look(&self, buf: &mut [u8]) -> Result<usize, Errno> {
                $look(self, buf)
            }
        })+
    };
}

impl_queue!(
    UnixStream bytes_readable Self::peek,
    UnixDatagram next_message_size
        |socket: &Self, buf: &mut [u8]| socket.peek(buf).map(|received| received.bytes),
    UnixSeqpacket bytes_readable
        |socket: &Self, buf: &mut [u8]| socket.peek(buf).map(|received| received.bytes)
);

/// What libc says of an option, or why it says nothing.
pub fn get_option(socket: &impl AsRawFd, option: i32) -> Result<i32, i32> {
    let (mut value, mut len) = (-7_i32, 4);
    // SAFETY: the option's value is at most a C `int`, whose size is passed.
    let done = unsafe {
        let value = (&raw mut value).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, &mut len)
    };
    if done == 0 { Ok(value) } else { Err(last()) }
}

/// Sets an option by libc.
pub fn set_option<T>(socket: &impl AsRawFd, option: i32, value: T) -> Result<(), i32> {
    // SAFETY: the size is that of the value.
    let done = unsafe {
        let (pointer, len) = ((&raw const value).cast(), size_of::<T>() as libc::socklen_t);
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, pointer, len)
    };
    if done == 0 { Ok(()) } else { Err(last()) }
}

fn last() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap()
}

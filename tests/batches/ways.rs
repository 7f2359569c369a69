//! The ways to a batch, the method of a type and the free function, behind one trait.

use std::ops::Deref;

use afunix::{BatchMessages, Errno, RecvBatch, SendBatch, SendError, UnixDatagram, UnixSeqpacket};

use crate::common::kinds::{Data, Socket};
use crate::common::passes::Passes;

/// A socket, and one of the ways to its batches.
pub trait Way: Deref<Target = Self::Socket> + From<Self::Socket> + Send + Sync {
    type Socket: Passes;

    fn send_batch(&self, batch: &mut SendBatch<'_>) -> Result<usize, SendError>;
    fn recv_batch<'m>(&self, batch: &'m mut RecvBatch<'_>) -> Result<BatchMessages<'m>, Errno>;

    const IS_STREAM: bool = <Self::Socket as Socket>::TYPE == libc::SOCK_STREAM;
    const IS_DATAGRAM: bool = <Self::Socket as Socket>::TYPE == libc::SOCK_DGRAM;

    fn pair() -> (Self, Self) {
        let (a, b) = <Self::Socket as Data>::pair().unwrap();
        (Self::from(a), Self::from(b))
    }
}

/// By the methods of the type.
pub struct Method<T>(T);

/// By the free functions, which know only of the descriptor.
pub struct Free<T>(T);

macro_rules! impl_deref {
    ($($Way:ident)+) => {
        $(impl<T> Deref for $Way<T> {
            type Target = T;
            fn deref(&self) -> &T {
                &self.0
            }
        }

        impl<T> From<T> for $Way<T> {
            fn from(socket: T) -> Self {
                Self(socket)
            }
        })+
    };
}

impl_deref!(Method Free);

macro_rules! impl_method {
    ($($Type:ident)+) => {
        $(impl Way for Method<$Type> {
            type Socket = $Type;

            fn send_batch(&self, batch: &mut SendBatch<'_>) -> Result<usize, SendError> {
                self.0.send_batch(batch)
            }
            fn recv_batch<'m>(
                &self,
                batch: &'m mut RecvBatch<'_>,
            ) -> Result<BatchMessages<'m>, Errno> {
                self.0.recv_batch(batch)
            }
        })+
    };
}

impl_method!(UnixDatagram UnixSeqpacket);

impl<T: Passes> Way for Free<T> {
    type Socket = T;

    fn send_batch(&self, batch: &mut SendBatch<'_>) -> Result<usize, SendError> {
        afunix::send_batch(self.0.as_fd(), batch)
    }
    fn recv_batch<'m>(&self, batch: &'m mut RecvBatch<'_>) -> Result<BatchMessages<'m>, Errno> {
        afunix::recv_batch(self.0.as_fd(), batch)
    }
}

/// The data of the messages that were received.
pub fn texts(messages: BatchMessages<'_>) -> Vec<Vec<u8>> {
    messages.map(|message| message.data.to_vec()).collect()
}

/// Makes one test for each type and way of a generic function. It is given the full name of the test,
/// for [`in_child`](crate::common::in_child).
macro_rules! for_ways {
    ($($name:ident)+) => {
        $(for_ways!($name: datagram Method UnixDatagram, datagram_by_fd Free UnixDatagram,
            seqpacket Method UnixSeqpacket, seqpacket_by_fd Free UnixSeqpacket,
            stream_by_fd Free UnixStream);)+
    };
    ($name:ident: $($test:ident $Way:ident $Type:ident),+) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    let _watchdog = crate::common::Watchdog::new();
                    let test = concat!(module_path!(), "::", stringify!($test));
                    // The harness leaves out the crate.
                    let (_, test) = test.split_once("::").unwrap();
                    super::$name::<crate::ways::$Way<afunix::$Type>>(test);
                }
            )+
        }
    };
}

/// [`for_ways`] of the types that keep the bounds of messages.
macro_rules! for_message_ways {
    ($($name:ident)+) => {
        $(for_ways!($name: datagram Method UnixDatagram, datagram_by_fd Free UnixDatagram,
            seqpacket Method UnixSeqpacket, seqpacket_by_fd Free UnixSeqpacket);)+
    };
}

macro_rules! for_seqpacket_ways {
    ($($name:ident)+) => {
        $(for_ways!($name: seqpacket Method UnixSeqpacket, seqpacket_by_fd Free UnixSeqpacket);)+
    };
}

macro_rules! for_datagram_ways {
    ($($name:ident)+) => {
        $(for_ways!($name: datagram Method UnixDatagram, datagram_by_fd Free UnixDatagram);)+
    };
}

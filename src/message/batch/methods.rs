//! The functions of this module as methods of the socket types that carry messages.

use super::receiving::recv_batch_from;
use super::sending::send_batch_to;
use super::{BatchMessages, RecvBatch, SendBatch};
use crate::error::SendError;
use crate::socket::{UnixDatagram, UnixSeqpacket};
use crate::sys::socket::Kind;
use crate::{AsFd, Errno};

macro_rules! impl_batches {
    ($Type:ident, $kind:expr) => {
        /// # Many messages in one call
        impl $Type {
            /// Sends those messages of a batch that have not been sent yet, in one call, and gives how
            /// many went: see [`send_batch`](crate::send_batch), which this is without its question for
            /// the type.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{BatchBuf, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// let mut memory = BatchBuf::<2>::new();
            /// let mut batch = memory.sender();
            /// batch.push(b"first")?;
            /// batch.push(b"second")?;
            /// assert_eq!(a.send_batch(&mut batch)?, 2);
            /// assert_eq!(b.recv(&mut [0; 16])?.bytes, 5);
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "sendmmsg")]
            #[inline]
            pub fn send_batch(&self, batch: &mut SendBatch<'_>) -> Result<usize, SendError> {
                send_batch_to(self.as_fd(), Some($kind), batch)
            }

            /// Receives as many messages as there are and the batch has buffers for, in one call; waits
            /// if there are none, for the first alone: see [`recv_batch`](crate::recv_batch), which
            /// this is without its question for the type.
            ///
            /// # Errors
            ///
            /// As there.
            ///
            /// # Examples
            ///
            /// ```
            #[doc = concat!("use afunix::{BatchBuf, ", stringify!($Type), "};")]
            ///
            #[doc = concat!("let (a, b) = ", stringify!($Type), "::pair()?;")]
            /// a.send(b"one")?;
            /// a.send(b"two")?;
            ///
            /// let (mut memory, mut bufs) = (BatchBuf::<8>::new(), [[0; 16]; 8]);
            /// let mut batch = memory.receiver();
            /// for buf in &mut bufs {
            ///     batch.push(buf)?;
            /// }
            /// for message in b.recv_batch(&mut batch)? {
            ///     assert_eq!(message.data.len(), 3);
            /// }
            /// # Ok::<(), afunix::Errno>(())
            /// ```
            #[doc(alias = "recvmmsg")]
            #[inline]
            pub fn recv_batch<'m>(
                &self,
                batch: &'m mut RecvBatch<'_>,
            ) -> Result<BatchMessages<'m>, Errno> {
                recv_batch_from(self.as_fd(), Some($kind), batch)
            }
        }
    };
}

impl_batches!(UnixDatagram, Kind::Datagram);
impl_batches!(UnixSeqpacket, Kind::Seqpacket);

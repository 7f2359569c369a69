//! Many messages in one call.

mod messages;
mod methods;
mod receiver;
mod receiving;
mod sender;
mod sending;

use core::fmt;

pub use messages::{BatchMessage, BatchMessages};
pub use receiver::RecvBatch;
pub use receiving::recv_batch;
pub use sender::SendBatch;
pub use sending::send_batch;

use crate::sys::batch::Storage;

/// Memory for the headers of `N` messages, to be sent or received in one call: see [`SendBatch`] and
/// [`RecvBatch`].
///
/// It holds nothing by itself, and is the same for both; it can be used again and again, and need never
/// be cleared. A message takes 88 bytes of it on 64-bit machines, and 44 on others. One call sends at most
/// 1024 messages: more than that are for another call. One call receives as many as there is memory for.
///
/// # Examples
///
/// ```
/// use afunix::{BatchBuf, UnixDatagram};
///
/// let (a, b) = UnixDatagram::pair()?;
/// let mut memory = BatchBuf::<8>::new();
///
/// let mut batch = memory.sender();
/// for line in ["one", "two", "three"] {
///     batch.push(line.as_bytes())?;
/// }
/// assert_eq!(a.send_batch(&mut batch)?, 3);
///
/// let mut bufs = [[0; 16]; 8];
/// let mut batch = memory.receiver();
/// for buf in &mut bufs {
///     batch.push(buf)?;
/// }
/// let lines: Vec<&[u8]> = b.recv_batch(&mut batch)?.map(|message| &*message.data).collect();
/// assert_eq!(lines, [&b"one"[..], b"two", b"three"]);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// It is for one batch at a time:
///
/// ```compile_fail,E0499
/// let mut memory = afunix::BatchBuf::<8>::new();
/// let mut first = memory.sender();
/// let second = memory.receiver();
/// first.clear();
/// # drop(second);
/// ```
///
/// See [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html) and
/// [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html).
#[doc(alias = "mmsghdr")]
pub struct BatchBuf<const N: usize> {
    storage: Storage<N>,
}

impl<const N: usize> BatchBuf<N> {
    /// Makes memory for `N` messages, without writing to it. Any number will do, 0 too.
    ///
    /// # Examples
    ///
    /// See [`BatchBuf`].
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { storage: Storage::new() }
    }

    /// For how many messages it is: `N`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(afunix::BatchBuf::<32>::new().capacity(), 32);
    /// ```
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Begins a batch to be sent, of no message so far.
    ///
    /// # Examples
    ///
    /// See [`SendBatch`].
    #[inline]
    pub fn sender(&mut self) -> SendBatch<'_> {
        SendBatch::new(&mut self.storage)
    }

    /// Begins a batch to be received into, with no buffer so far.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch`].
    #[inline]
    pub fn receiver(&mut self) -> RecvBatch<'_> {
        RecvBatch::new(&mut self.storage)
    }
}

impl<const N: usize> Default for BatchBuf<N> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for BatchBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchBuf").field("capacity", &N).finish_non_exhaustive()
    }
}

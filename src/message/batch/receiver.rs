//! A batch of buffers to be received into.

use core::fmt;

use super::BatchMessages;
use crate::addr::UnixAddr;
use crate::ancillary::AncillaryBuf;
use crate::error::BatchFull;
use crate::sys::batch::{Incoming, Storage};
use crate::sys::msg::{DONTWAIT, WAIT_FOR_ONE};

/// Buffers for messages that are received in one call; they are borrowed, as is the
/// [`BatchBuf`](crate::BatchBuf).
///
/// Each [`recv_batch`](crate::UnixDatagram::recv_batch) fills them from the first on, so it can be called
/// again and again. Buffers that no message was received into are not touched; but where a connection
/// has ended addresses that are left become unnamed.
///
/// # Examples
///
/// A server that takes what there is, and answers who has a name:
///
/// ```
/// use afunix::{BatchBuf, UnixAddr, UnixDatagram};
///
/// let (server, name) = UnixDatagram::autobind()?;
/// let (client, _) = UnixDatagram::autobind()?;
/// client.send_to(b"one", &name)?;
/// client.send_to(b"two", &name)?;
///
/// let (mut bufs, mut senders) = ([[0; 512]; 16], [UnixAddr::UNNAMED; 16]);
/// let mut memory = BatchBuf::<16>::new();
/// let mut batch = memory.receiver();
/// for (buf, from) in bufs.iter_mut().zip(&mut senders) {
///     batch.push_from(buf, from)?;
/// }
/// for message in server.recv_batch(&mut batch)? {
///     if let Some(sender) = message.from.filter(|from| !from.is_unnamed()) {
///         server.send_to(message.data, sender)?;
///     }
/// }
/// assert_eq!(client.recv(&mut [0; 16])?.bytes, 3);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// A buffer is the batch's as long as that is there:
///
/// ```compile_fail,E0502
/// # let (mut memory, mut buf) = (afunix::BatchBuf::<1>::new(), [0; 4]);
/// # let (a, b) = afunix::UnixDatagram::pair().unwrap();
/// let mut batch = memory.receiver();
/// batch.push(&mut buf).unwrap();
/// println!("{buf:?}");
/// b.recv_batch(&mut batch).unwrap();
/// ```
///
/// See [recvmmsg(2)](https://man7.org/linux/man-pages/man2/recvmmsg.2.html).
#[doc(alias = "recvmmsg")]
#[must_use = "`recv_batch` receives into it"]
pub struct RecvBatch<'a> {
    pub(super) incoming: Incoming<'a>,
    pub(super) flags: u32,
    /// Whether messages of no data may be the end of a stream.
    pub(super) stream: bool,
}

impl<'a> RecvBatch<'a> {
    #[inline]
    pub(super) fn new<const N: usize>(storage: &'a mut Storage<N>) -> Self {
        Self { incoming: Incoming::new(storage), flags: WAIT_FOR_ONE, stream: false }
    }

    /// Adds a buffer for a message. What descriptors come with it are closed, as by
    /// [`recv`](crate::UnixDatagram::recv).
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// See [`BatchBuf`](crate::BatchBuf).
    #[inline(always)]
    pub fn push(&mut self, buf: &'a mut [u8]) -> Result<(), BatchFull> {
        self.incoming.push(buf).ok_or(self.full())
    }

    /// Adds buffers, each for a message: [`push`](Self::push) for as many as there are.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there is no memory for all of them; none was added.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, UnixDatagram};
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// let (mut memory, mut bufs) = (BatchBuf::<4>::new(), [[0; 16]; 4]);
    /// let mut batch = memory.receiver();
    /// batch.push_all(&mut bufs)?;
    /// a.send(b"hello")?;
    /// assert_eq!(b.recv_batch(&mut batch)?.len(), 1);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline(always)]
    pub fn push_all<B: AsMut<[u8]>>(&mut self, bufs: &'a mut [B]) -> Result<(), BatchFull> {
        self.incoming.push_all(bufs).ok_or(self.full())
    }

    /// Adds a buffer for a message, and room for its sender's address.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// See [`RecvBatch`].
    #[doc(alias = "msg_name")]
    #[inline]
    pub fn push_from(
        &mut self,
        buf: &'a mut [u8],
        from: &'a mut UnixAddr,
    ) -> Result<(), BatchFull> {
        self.incoming.push_with(buf, &mut [], Some(from)).ok_or(self.full())
    }

    /// Adds a buffer for a message, room for its control messages, and, if it is wanted, for its
    /// sender's address.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// See [`BatchMessage::take_ancillary`](super::BatchMessage::take_ancillary).
    #[doc(alias = "msg_control")]
    #[inline]
    pub fn push_with<const M: usize>(
        &mut self,
        buf: &'a mut [u8],
        control: &'a mut AncillaryBuf<M>,
        from: Option<&'a mut UnixAddr>,
    ) -> Result<(), BatchFull> {
        self.incoming.push_with(buf, control.room(), from).ok_or(self.full())
    }

    #[inline]
    const fn full(&self) -> BatchFull {
        BatchFull { capacity: self.incoming.capacity() }
    }

    /// Whether the receives into this batch fail with `EAGAIN` where there is nothing, whatever the
    /// socket is set to. At first they wait, for one message.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, Errno, UnixDatagram};
    ///
    /// let (a, _b) = UnixDatagram::pair()?;
    /// let (mut memory, mut buf) = (BatchBuf::<1>::new(), [0; 16]);
    /// let mut batch = memory.receiver();
    /// batch.push(&mut buf)?;
    /// batch.set_nonblocking(true);
    /// assert_eq!(a.recv_batch(&mut batch).err(), Some(Errno::AGAIN));
    /// # Ok::<(), Errno>(())
    /// ```
    #[doc(alias = "MSG_DONTWAIT")]
    #[inline]
    pub const fn set_nonblocking(&mut self, nonblocking: bool) {
        self.flags = if nonblocking { DONTWAIT } else { WAIT_FOR_ONE };
    }

    /// How many messages there is memory for.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut memory = afunix::BatchBuf::<8>::new();
    /// let batch = memory.receiver();
    /// assert_eq!((batch.capacity(), batch.len()), (8, 0));
    /// assert!(batch.is_empty());
    /// ```
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.incoming.capacity()
    }

    /// How many buffers there are.
    ///
    /// # Examples
    ///
    /// See [`capacity`](Self::capacity).
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.incoming.len()
    }

    /// Whether there are no buffers.
    ///
    /// # Examples
    ///
    /// See [`capacity`](Self::capacity).
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The messages that were received and that no iterator has given yet: the same as
    /// [`recv_batch`](crate::UnixDatagram::recv_batch) gave. The next `recv_batch` drops them, also if it
    /// fails.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, UnixDatagram};
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"one")?;
    /// a.send(b"two")?;
    /// let (mut memory, mut bufs) = (BatchBuf::<2>::new(), [[0; 16]; 2]);
    /// let mut batch = memory.receiver();
    /// for buf in &mut bufs {
    ///     batch.push(buf)?;
    /// }
    /// assert_eq!(b.recv_batch(&mut batch)?.next().expect("there are two").data, b"one");
    /// assert_eq!(batch.messages().next().expect("there is one more").data, b"two");
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline(always)]
    pub fn messages(&mut self) -> BatchMessages<'_> {
        BatchMessages::new(self.incoming.take(), self.stream)
    }
}

impl fmt::Debug for RecvBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBatch")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .field("received", &self.incoming.filled())
            .finish_non_exhaustive()
    }
}

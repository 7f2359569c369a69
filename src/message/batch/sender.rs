//! A batch of messages to be sent.

use core::fmt;

use crate::IoSlice;
use crate::addr::UnixAddr;
use crate::ancillary::AncillaryWriter;
use crate::error::BatchFull;
use crate::sys::batch::{Outgoing, Storage};
use crate::sys::msg::{DONTWAIT, sent_len};

/// Messages to be sent, in order and in as few calls as the kernel allows; they borrow a
/// [`BatchBuf`](crate::BatchBuf), and all that is to be sent.
///
/// It knows which of them went. [`send_batch`](crate::UnixDatagram::send_batch) sends those that did
/// not; [`rewind`](Self::rewind) makes all of them new again, so that what is prepared once can be sent
/// often.
///
/// # Examples
///
/// All of them, however many the receiver's queue takes at once:
///
/// ```
/// use afunix::{BatchBuf, UnixDatagram};
///
/// let (inbox, name) = UnixDatagram::autobind()?;
/// let reader = std::thread::spawn(move || {
///     for number in 0..100 {
///         let mut buf = [0; 8];
///         let received = inbox.recv(&mut buf).expect("a datagram");
///         assert_eq!(buf[..received.bytes], [number]);
///     }
/// });
///
/// let sender = UnixDatagram::unbound()?;
/// let numbers: Vec<u8> = (0..100).collect();
/// let mut memory = BatchBuf::<100>::new();
/// let mut batch = memory.sender();
/// for number in numbers.chunks(1) {
///     batch.push_to(number, &name)?;
/// }
/// while batch.unsent() > 0 {
///     sender.send_batch(&mut batch)?;
/// }
/// reader.join().expect("all came, in order");
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// What is to be sent cannot be changed before:
///
/// ```compile_fail,E0506
/// # let (mut memory, mut data) = (afunix::BatchBuf::<1>::new(), [b'x'; 4]);
/// # let (a, b) = afunix::UnixDatagram::pair().unwrap();
/// let mut batch = memory.sender();
/// batch.push(&data).unwrap();
/// data[0] = b'y';
/// a.send_batch(&mut batch).unwrap();
/// ```
///
/// Nor can descriptors that go with it be closed:
///
/// ```compile_fail,E0505
/// # use afunix::{AncillaryBuf, AsFd, BatchBuf, IoSlice, UnixDatagram};
/// # let ((a, b), mut memory) = (UnixDatagram::pair().unwrap(), BatchBuf::<1>::new());
/// # let (mut buf, data) = (AncillaryBuf::<24>::new(), [IoSlice::new(b"gone")]);
/// let mut writer = buf.writer();
/// writer.push_fds(&[b.as_fd()]).unwrap();
/// let mut batch = memory.sender();
/// batch.push_with(&data, &writer, None).unwrap();
/// drop(b);
/// a.send_batch(&mut batch).unwrap();
/// ```
///
/// See [sendmmsg(2)](https://man7.org/linux/man-pages/man2/sendmmsg.2.html).
#[doc(alias = "sendmmsg")]
#[must_use = "it is sent by `send_batch`"]
pub struct SendBatch<'a> {
    pub(super) outgoing: Outgoing<'a>,
    pub(super) flags: u32,
    /// Whether there is a message, sent or not, that has descriptors and not a byte of data.
    pub(super) bare_fds: bool,
}

impl<'a> SendBatch<'a> {
    #[inline]
    pub(super) fn new<const N: usize>(storage: &'a mut Storage<N>) -> Self {
        Self { outgoing: Outgoing::new(storage), flags: 0, bare_fds: false }
    }

    /// Adds a message for the peer. It may be empty.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// See [`BatchBuf`](crate::BatchBuf).
    #[inline(always)]
    pub fn push(&mut self, data: &'a [u8]) -> Result<(), BatchFull> {
        self.outgoing.push(data).ok_or(self.full())
    }

    /// Adds messages for the peer: [`push`](Self::push) for as many as there are.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there is no memory for all of them; none was added.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut memory = afunix::BatchBuf::<2>::new();
    /// let mut batch = memory.sender();
    /// assert!(batch.push_all(&["one", "two", "three"]).is_err());
    /// assert!(batch.is_empty());
    /// batch.push_all(&["one", "two"])?;
    /// # Ok::<(), afunix::BatchFull>(())
    /// ```
    #[inline(always)]
    pub fn push_all<B: AsRef<[u8]>>(&mut self, messages: &'a [B]) -> Result<(), BatchFull> {
        self.outgoing.push_all(messages).ok_or(self.full())
    }

    /// Adds a message for whoever has that name when it is sent.
    ///
    /// For datagrams: see [`SendOptions::to`](crate::SendOptions::to).
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// See [`SendBatch`].
    #[doc(alias = "msg_name")]
    #[inline(always)]
    pub fn push_to(&mut self, data: &'a [u8], to: &'a UnixAddr) -> Result<(), BatchFull> {
        self.outgoing.push_to(data, to).ok_or(self.full())
    }

    /// Adds a message of several pieces, with any control messages, for the peer or for whoever has a
    /// name.
    ///
    /// # Errors
    ///
    /// [`BatchFull`]: there are as many as the memory is for.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, BatchBuf, IoSlice, UnixSeqpacket};
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// let (mut first, mut second) = (AncillaryBuf::<24>::new(), AncillaryBuf::<24>::new());
    /// let (mut with_a, mut with_b) = (first.writer(), second.writer());
    /// with_a.push_fds(&[a.as_fd()])?;
    /// with_b.push_fds(&[b.as_fd()])?;
    ///
    /// let data = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    /// let mut memory = BatchBuf::<2>::new();
    /// let mut batch = memory.sender();
    /// batch.push_with(&data, &with_a, None)?;
    /// batch.push_with(&data, &with_b, None)?;
    /// assert_eq!(a.send_batch(&mut batch)?, 2);
    /// # drop(b);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "msg_control")]
    #[inline]
    pub fn push_with(
        &mut self,
        data: &'a [IoSlice<'a>],
        ancillary: &'a AncillaryWriter<'_, '_>,
        to: Option<&'a UnixAddr>,
    ) -> Result<(), BatchFull> {
        let pushed = self.outgoing.push_with(data, ancillary.messages(), to);
        if pushed.is_some() && ancillary.fd_count() > 0 && sent_len(data) == 0 {
            self.bare_fds = true;
        }
        pushed.ok_or(self.full())
    }

    #[inline]
    const fn full(&self) -> BatchFull {
        BatchFull { capacity: self.outgoing.capacity() }
    }

    /// Whether the sends of this batch fail with `EAGAIN` instead of waiting, whatever the socket is
    /// set to. At first they do not.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, Errno, SendError, UnixDatagram};
    ///
    /// let (_inbox, name) = UnixDatagram::autobind()?;
    /// let sender = UnixDatagram::unbound()?;
    /// let mut memory = BatchBuf::<1000>::new();
    /// let mut batch = memory.sender();
    /// for _ in 0..batch.capacity() {
    ///     batch.push_to(b"x", &name)?;
    /// }
    /// batch.set_nonblocking(true);
    /// let sent = sender.send_batch(&mut batch)?; // as many as the queue took
    /// assert!(sent > 0 && batch.unsent() == 1000 - sent);
    /// assert_eq!(sender.send_batch(&mut batch), Err(SendError::Kernel(Errno::AGAIN)));
    /// # Ok::<(), Errno>(())
    /// ```
    #[doc(alias = "MSG_DONTWAIT")]
    #[inline]
    pub const fn set_nonblocking(&mut self, nonblocking: bool) {
        self.flags = if nonblocking { DONTWAIT } else { 0 };
    }

    /// How many messages there is memory for.
    ///
    /// # Examples
    ///
    /// See [`set_nonblocking`](Self::set_nonblocking).
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.outgoing.capacity()
    }

    /// How many messages there are, sent or not.
    ///
    /// # Examples
    ///
    /// See [`skip`](Self::skip).
    #[inline]
    #[must_use]
    pub const fn len(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether there are none, sent or not.
    ///
    /// # Examples
    ///
    /// See [`clear`](Self::clear).
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many messages have been sent or skipped: the number, from 0, of the one that is next.
    ///
    /// # Examples
    ///
    /// See [`skip`](Self::skip).
    #[inline]
    #[must_use]
    pub const fn sent(&self) -> usize {
        self.outgoing.sent()
    }

    /// How many messages are still to be sent.
    ///
    /// # Examples
    ///
    /// See [`SendBatch`].
    #[inline]
    #[must_use]
    pub const fn unsent(&self) -> usize {
        self.len().wrapping_sub(self.sent())
    }

    /// Passes over the message that is next, so that those behind it can be sent.
    ///
    /// # Examples
    ///
    /// One of three receivers is not there:
    ///
    /// ```
    /// use afunix::{BatchBuf, Errno, UnixAddr, UnixDatagram};
    ///
    /// let ((first, to_first), (last, to_last)) =
    ///     (UnixDatagram::autobind()?, UnixDatagram::autobind()?);
    /// let nobody = UnixAddr::from_pathname(b"/nonexistent/socket")?;
    /// let sender = UnixDatagram::unbound()?;
    ///
    /// let mut memory = BatchBuf::<3>::new();
    /// let mut batch = memory.sender();
    /// for to in [&to_first, &nobody, &to_last] {
    ///     batch.push_to(b"hello", to)?;
    /// }
    /// let mut failed = 0;
    /// while batch.unsent() > 0 {
    ///     if sender.send_batch(&mut batch).is_err() {
    ///         failed += 1;
    ///         batch.skip();
    ///     }
    /// }
    /// assert_eq!((failed, batch.sent(), batch.len()), (1, 3, 3));
    /// for inbox in [first, last] {
    ///     assert_eq!(inbox.recv(&mut [0; 8])?.bytes, 5);
    /// }
    /// # Ok::<(), Errno>(())
    /// ```
    #[inline]
    pub const fn skip(&mut self) {
        self.outgoing.set_sent(self.sent().saturating_add(1));
    }

    /// Takes none of the messages for sent, so that all can be sent again.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{BatchBuf, UnixDatagram};
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// let mut memory = BatchBuf::<2>::new();
    /// let mut batch = memory.sender();
    /// batch.push(b"tick")?;
    /// batch.push(b"tock")?;
    /// for _ in 0..3 {
    ///     batch.rewind();
    ///     assert_eq!(a.send_batch(&mut batch)?, 2);
    /// }
    /// assert_eq!(b.next_message_size()?, 4);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub const fn rewind(&mut self) {
        self.outgoing.set_sent(0);
    }

    /// Removes all messages, sent or not.
    ///
    /// # Examples
    ///
    /// ```
    /// let mut memory = afunix::BatchBuf::<1>::new();
    /// let mut batch = memory.sender();
    /// batch.push(b"old")?;
    /// batch.clear();
    /// assert!(batch.is_empty());
    /// batch.push(b"new")?;
    /// # Ok::<(), afunix::BatchFull>(())
    /// ```
    #[inline]
    pub const fn clear(&mut self) {
        self.outgoing.clear();
        self.bare_fds = false;
    }
}

impl fmt::Debug for SendBatch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendBatch")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .field("sent", &self.sent())
            .finish_non_exhaustive()
    }
}

//! Messages that were received in one call.

use core::fmt;
use core::iter::FusedIterator;
use core::mem::take;

use super::super::receiving::{Verdict, truncated, verdict};
use crate::addr::UnixAddr;
use crate::ancillary::Ancillary;
use crate::error::RecvError;
use crate::socket::Received;
use crate::sys::batch::{Message, Taking};
use crate::sys::control::Arrived;
use crate::sys::msg::CTRUNC;

/// The messages that one call received, in order: see [`recv_batch`](crate::recv_batch).
///
/// Those that it is not asked for stay in the batch, and their descriptors open, until that receives
/// again or ends: see [`RecvBatch::messages`](super::RecvBatch::messages).
///
/// # Examples
///
/// See [`RecvBatch`](crate::RecvBatch). What was received cannot be overwritten while it is looked at:
///
/// ```compile_fail,E0499
/// # let (mut memory, mut buf) = (afunix::BatchBuf::<1>::new(), [0; 4]);
/// # let (a, b) = afunix::UnixDatagram::pair().unwrap();
/// # let mut batch = memory.receiver();
/// # batch.push(&mut buf).unwrap();
/// let first = b.recv_batch(&mut batch).unwrap().next().unwrap();
/// b.recv_batch(&mut batch).unwrap();
/// println!("{:?}", first.data);
/// ```
#[must_use = "only this tells what was received"]
pub struct BatchMessages<'m> {
    taking: Taking<'m>,
    stream: bool,
}

impl<'m> BatchMessages<'m> {
    #[inline(always)]
    pub(super) const fn new(taking: Taking<'m>, stream: bool) -> Self {
        Self { taking, stream }
    }
}

impl<'m> Iterator for BatchMessages<'m> {
    type Item = BatchMessage<'m>;

    #[inline(always)]
    fn next(&mut self) -> Option<BatchMessage<'m>> {
        let Message { buf, size, flags, from, control_room, arrived } = self.taking.next()?;
        let data_room = buf.len();
        let received = Received::new(size, data_room);
        let (data, _) = buf.split_at_mut_checked(received.bytes).unwrap_or_default();
        let stream = self.stream;
        Some(BatchMessage { data, received, from, data_room, flags, stream, control_room, arrived })
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = self.taking.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for BatchMessages<'_> {}

impl FusedIterator for BatchMessages<'_> {}

impl fmt::Debug for BatchMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchMessages").field("len", &self.taking.len()).finish_non_exhaustive()
    }
}

/// A message that was received with others in one call. Descriptors that came with it are closed when
/// it is dropped, unless they were taken.
///
/// # Examples
///
/// See [`take_ancillary`](Self::take_ancillary).
#[non_exhaustive]
pub struct BatchMessage<'m> {
    /// The data that came, as far as the buffer had room for it.
    pub data: &'m mut [u8],
    /// How much that is, and how much the message had.
    pub received: Received,
    /// The sender's address, if there was room for one: unnamed, if it has no name. (`None` as well
    /// from a socket of another family.)
    pub from: Option<&'m UnixAddr>,
    data_room: usize,
    flags: u32,
    stream: bool,
    control_room: usize,
    arrived: Option<Arrived<'m>>,
}

impl<'m> BatchMessage<'m> {
    /// Takes the control messages, with the descriptors among them; afterwards there are none.
    ///
    /// # Errors
    ///
    /// [`RecvError::ControlTruncated`]: not all came, and what descriptors did have been closed. The
    /// data is here all the same. So it is where descriptors came and the batch had no room for control
    /// messages.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, BatchBuf, Space, UnixSeqpacket};
    ///
    /// const ROOM: usize = Space::new().rights::<1>().bytes();
    ///
    /// let (a, b) = UnixSeqpacket::pair()?;
    /// a.send_fds(b"first", &[a.as_fd()])?;
    /// a.send_fds(b"second", &[b.as_fd()])?;
    ///
    /// let (mut bufs, mut controls) = ([[0; 16]; 8], [const { AncillaryBuf::<ROOM>::new() }; 8]);
    /// let mut memory = BatchBuf::<8>::new();
    /// let mut batch = memory.receiver();
    /// for (buf, control) in bufs.iter_mut().zip(&mut controls) {
    ///     batch.push_with(buf, control, None)?;
    /// }
    /// for mut message in b.recv_batch(&mut batch)? {
    ///     let [fd] = message.take_ancillary()?.take_fds_exact::<1>().expect("one each");
    ///     println!("{:?} came with {fd:?}", message.data);
    /// }
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub fn take_ancillary(&mut self) -> Result<Ancillary<'m>, RecvError> {
        let (arrived, Verdict { end, missing }) = self.take_arrived();
        match missing {
            Some(cause) => Err(truncated(self.received.size, self.data_room, arrived, cause)),
            None => Ok(Ancillary::new(arrived, None, end)),
        }
    }

    /// Takes what control messages came where others were lost: see
    /// [`RecvOptions::lossy`](crate::RecvOptions::lossy). [`Ancillary::truncation`] tells.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, BatchBuf, Space, UnixDatagram};
    ///
    /// const ROOM: usize = Space::new().rights::<2>().bytes();
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send_fds(b"nine", &[b.as_fd(); 9])?;
    /// let (mut buf, mut control) = ([0; 16], AncillaryBuf::<ROOM>::new());
    /// let mut memory = BatchBuf::<1>::new();
    /// let mut batch = memory.receiver();
    /// batch.push_with(&mut buf, &mut control, None)?;
    /// let mut message = b.recv_batch(&mut batch)?.next().expect("a message");
    /// let ancillary = message.take_ancillary_lossy();
    /// assert!(ancillary.truncation().is_some());
    /// assert_eq!(ancillary.fds().count(), 2);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[doc(alias = "MSG_CTRUNC")]
    #[inline]
    pub fn take_ancillary_lossy(&mut self) -> Ancillary<'m> {
        let (arrived, Verdict { end, missing }) = self.take_arrived();
        Ancillary::new(arrived, missing, end)
    }

    #[inline]
    fn take_arrived(&mut self) -> (Arrived<'m>, Verdict) {
        let arrived = self.arrived.take().unwrap_or(Arrived::none());
        // What was lost is told once.
        let truncated = take(&mut self.flags) & CTRUNC != 0;
        if !truncated && self.received.size > 0 {
            return (arrived, Verdict { end: false, missing: None });
        }
        // Others of the batch may be the end, where this one is not.
        let may_be_end = self.stream && self.received.size == 0;
        let verdict =
            verdict(may_be_end, self.data_room, self.control_room, truncated, arrived.iter());
        (arrived, verdict)
    }
}

impl fmt::Debug for BatchMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchMessage")
            .field("received", &self.received)
            .field("from", &self.from)
            .field("control", &self.arrived)
            .finish_non_exhaustive()
    }
}

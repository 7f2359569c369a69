//! Control messages: the buffer, what goes out in it, and what came in.

mod fds;
mod received;
mod space;
mod writer;

use core::fmt;
use core::mem::MaybeUninit;

pub use fds::{Fds, FdsIntoIter, FdsIter};
pub(crate) use received::cause;
pub use received::{Ancillary, ControlMessage, TakeFds, Unknown};
pub use space::Space;
pub use writer::AncillaryWriter;

/// Memory for the control messages of one call, of a size that is known when the program is compiled:
/// see [`Space`].
///
/// It holds nothing by itself. What is received into it belongs to the [`Ancillary`] that the call
/// gives; what is sent from it is put there by an [`AncillaryWriter`]. So it can be used again and
/// again, and need never be cleared.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, AsFd, IoSlice, IoSliceMut, RecvOptions, SendOptions, Space, UnixStream};
///
/// const SPACE: usize = Space::new().credentials().rights::<1>().bytes();
/// let mut buf = AncillaryBuf::<SPACE>::new();
///
/// let (a, b) = UnixStream::pair()?;
/// b.set_passcred(true)?;
/// let mut writer = buf.writer();
/// writer.push_fds(&[a.as_fd()])?;
/// a.send_with(&[IoSlice::new(b"take it")], &writer, SendOptions::new())?;
///
/// let mut data = [0; 16];
/// let (received, mut ancillary) =
///     b.recv_with(&mut [IoSliceMut::new(&mut data)], &mut buf, RecvOptions::new())?;
/// assert_eq!(&data[..received.bytes], b"take it");
/// let sender = ancillary.credentials().expect("SO_PASSCRED is on");
/// assert_eq!(sender.pid.map(|pid| pid.as_raw_pid() as u32), Some(std::process::id()));
/// let fd = ancillary.take_fds().next().expect("one was sent");
/// # drop(fd);
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// See [cmsg(3)](https://man7.org/linux/man-pages/man3/cmsg.3.html).
#[doc(alias = "msg_control")]
#[repr(C, align(8))]
pub struct AncillaryBuf<const N: usize> {
    bytes: [MaybeUninit<u8>; N],
}

impl<const N: usize> AncillaryBuf<N> {
    /// Makes a buffer of `N` bytes, without writing to them. Any number will do, 0 too.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, Space};
    ///
    /// static BUF: AncillaryBuf<{ Space::new().rights::<1>().bytes() }> = AncillaryBuf::new();
    /// assert_eq!(BUF.capacity(), Space::new().rights::<1>().bytes());
    /// ```
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [const { MaybeUninit::uninit() }; N] }
    }

    /// How many bytes it has: `N`.
    ///
    /// # Examples
    ///
    /// ```
    /// assert_eq!(afunix::AncillaryBuf::<40>::new().capacity(), 40);
    /// ```
    #[inline]
    #[must_use]
    pub const fn capacity(&self) -> usize {
        N
    }

    /// Begins a set of messages to be sent, of none so far.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, IoSlice, SendOptions, UnixStream};
    ///
    /// // Without any, it is a plain write.
    /// let (a, _b) = UnixStream::pair()?;
    /// let mut buf = AncillaryBuf::<0>::new();
    /// let sent = a.send_with(&[IoSlice::new(b"hello")], &buf.writer(), SendOptions::new())?;
    /// assert_eq!(sent.bytes, 5);
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    #[inline]
    pub const fn writer<'fd>(&mut self) -> AncillaryWriter<'_, 'fd> {
        AncillaryWriter::new(&mut self.bytes)
    }

    /// Where the kernel may write messages.
    #[inline]
    pub(crate) const fn room(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.bytes
    }
}

impl<const N: usize> Default for AncillaryBuf<N> {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

impl<const N: usize> fmt::Debug for AncillaryBuf<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AncillaryBuf").field("capacity", &N).finish_non_exhaustive()
    }
}

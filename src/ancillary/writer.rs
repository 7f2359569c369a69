//! Control messages that are to be sent.

use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;

use crate::BorrowedFd;
use crate::cred::Credentials;
use crate::error::CapacityError;
use crate::sys::control::LEVEL;
use crate::sys::fds::write_numbers;
use crate::wire::cmsg::{
    Header, INT_LEN, SCM_CREDENTIALS, SCM_RIGHTS, message_len, padding_behind,
};

/// Control messages to be sent, written into an [`AncillaryBuf`](crate::AncillaryBuf); borrows the
/// descriptors, so that they stay open until the call is done.
///
/// It may be sent several times. The kernel duplicates what is sent; the sender's own descriptors stay
/// open.
///
/// # Examples
///
/// ```
/// use afunix::{AncillaryBuf, AsFd, IoSlice, SendOptions, Space, UnixDatagram};
///
/// let (a, b) = UnixDatagram::pair()?;
/// let mut buf = AncillaryBuf::<{ Space::new().rights::<2>().bytes() }>::new();
/// let mut writer = buf.writer();
/// writer.push_fds(&[a.as_fd(), b.as_fd()])?;
/// a.send_with(&[IoSlice::new(b"two")], &writer, SendOptions::new())?;
/// # Ok::<(), afunix::Errno>(())
/// ```
///
/// The descriptors cannot be closed before:
///
/// ```compile_fail
/// # use afunix::{AncillaryBuf, AsFd, IoSlice, SendOptions, UnixDatagram};
/// # let (a, b) = UnixDatagram::pair().unwrap();
/// # let mut buf = AncillaryBuf::<24>::new();
/// let mut writer = buf.writer();
/// writer.push_fds(&[b.as_fd()]).unwrap();
/// drop(b);
/// a.send_with(&[IoSlice::new(b"gone")], &writer, SendOptions::new()).unwrap();
/// ```
#[doc(alias = "cmsghdr")]
#[doc(alias = "CMSG_DATA")]
#[must_use = "it is sent by `send_with`"]
pub struct AncillaryWriter<'buf, 'fd> {
    buf: &'buf mut [MaybeUninit<u8>],
    /// How much of `buf` is in use; the last message is without padding.
    len: usize,
    /// How many descriptors there are in all messages.
    fds: usize,
    borrowed: PhantomData<BorrowedFd<'fd>>,
}

impl<'buf, 'fd> AncillaryWriter<'buf, 'fd> {
    #[inline]
    pub(crate) const fn new(buf: &'buf mut [MaybeUninit<u8>]) -> Self {
        Self { buf, len: 0, fds: 0, borrowed: PhantomData }
    }

    /// Adds descriptors, to be duplicated for the receiver (`SCM_RIGHTS`).
    ///
    /// Several calls add up; the receiver gets all descriptors as one message. Of no descriptors there
    /// is no message.
    ///
    /// # Errors
    ///
    /// [`CapacityError`], if there is no room; nothing is added. That one message carries at most
    /// 253 is for the call to judge that sends it.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, AsFd, UnixStream};
    ///
    /// let (a, b) = UnixStream::pair()?;
    /// let mut buf = AncillaryBuf::<48>::new();
    /// let mut writer = buf.writer();
    /// writer.push_fds(&[a.as_fd()])?;
    /// writer.push_fds(&[b.as_fd()])?;
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_RIGHTS`.
    #[doc(alias = "SCM_RIGHTS")]
    #[inline]
    pub fn push_fds(&mut self, fds: &[BorrowedFd<'fd>]) -> Result<(), CapacityError> {
        if fds.is_empty() {
            return Ok(());
        }
        let payload = self.push(SCM_RIGHTS, fds.len().saturating_mul(INT_LEN))?;
        write_numbers(payload, fds);
        self.fds = self.fds.saturating_add(fds.len());
        Ok(())
    }

    /// Adds credentials, to be told to a receiver that has `SO_PASSCRED` set (`SCM_CREDENTIALS`).
    ///
    /// Without this the kernel tells such a receiver the true ones. To tell others takes privilege:
    /// `CAP_SYS_ADMIN` for another process, `CAP_SETUID` and `CAP_SETGID` for ids that are not among
    /// the sender's real, effective and saved ones; else the send is `EPERM`. `ESRCH`: there is no
    /// such process (an unknown `pid` is none). `EINVAL`: an id is -1, or has no meaning in this user
    /// namespace. Of several calls the last counts.
    ///
    /// # Errors
    ///
    /// [`CapacityError`], if there is no room; nothing is added.
    ///
    /// # Examples
    ///
    /// ```
    /// use afunix::{AncillaryBuf, Credentials, Gid, IoSlice, Pid, SendOptions, Space, Uid, UnixStream};
    ///
    /// let (a, _b) = UnixStream::pair()?;
    /// let mut buf = AncillaryBuf::<{ Space::new().credentials().bytes() }>::new();
    /// let mut writer = buf.writer();
    /// let nobody = Credentials { pid: Pid::from_raw(i32::MAX), uid: Uid::ROOT, gid: Gid::ROOT };
    /// writer.push_credentials(nobody)?;
    /// // ESRCH for root, EPERM for anybody else.
    /// assert!(a.send_with(&[IoSlice::new(b"x")], &writer, SendOptions::new()).is_err());
    /// # Ok::<(), afunix::Errno>(())
    /// ```
    ///
    /// See [unix(7)](https://man7.org/linux/man-pages/man7/unix.7.html), `SCM_CREDENTIALS`.
    #[doc(alias = "SCM_CREDENTIALS")]
    #[inline]
    pub fn push_credentials(&mut self, credentials: Credentials) -> Result<(), CapacityError> {
        let bytes = credentials.encode();
        let payload = self.push(SCM_CREDENTIALS, bytes.len())?;
        if let Some(payload) = payload.first_chunk_mut() {
            *payload = bytes.map(MaybeUninit::new);
        }
        Ok(())
    }

    /// Adds a header, and gives the place of its payload.
    #[inline]
    fn push(
        &mut self,
        kind: i32,
        payload_len: usize,
    ) -> Result<&mut [MaybeUninit<u8>], CapacityError> {
        let padding = padding_behind(self.len);
        let left = self.buf.len().saturating_sub(self.len).saturating_sub(padding);
        let needed = message_len(payload_len);
        if needed > left {
            return Err(CapacityError { needed, left });
        }
        let (_, free) = self.buf.split_at_mut_checked(self.len).unwrap_or_default();
        self.len = self.len.wrapping_add(padding).wrapping_add(needed);
        let (gap, free) = free.split_at_mut_checked(padding).unwrap_or_default();
        // It goes to the kernel with the rest.
        gap.fill(MaybeUninit::new(0));
        let Some((header, free)) = free.split_first_chunk_mut() else { return Ok(&mut []) };
        let bytes = Header { level: LEVEL, kind, payload_len }.encode();
        *header = bytes.map(MaybeUninit::new);
        let (payload, _) = free.split_at_mut_checked(payload_len).unwrap_or_default();
        Ok(payload)
    }

    /// What the kernel is given.
    #[inline]
    pub(crate) fn messages(&self) -> &[MaybeUninit<u8>] {
        self.buf.get(..self.len).unwrap_or_default()
    }

    /// How many descriptors there are.
    #[inline]
    pub(crate) const fn fd_count(&self) -> usize {
        self.fds
    }
}

impl fmt::Debug for AncillaryWriter<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AncillaryWriter")
            .field("capacity", &self.buf.len())
            .field("len", &self.len)
            .field("fds", &self.fds)
            .finish_non_exhaustive()
    }
}

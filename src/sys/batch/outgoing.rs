//! Messages that are sent in one call.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::slice;

use linux_raw_sys::net;
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, IoSlice};

use super::{Room, Storage};
use crate::sys::addr::UnixAddr;
use crate::sys::control::{LEVEL, Messages};
use crate::sys::msg::{BatchHeader, Header, sendmmsg, sent_len};
use crate::wire::cmsg::{INT_LEN, SCM_RIGHTS};

/// Messages to be sent.
///
/// INVARIANT put: the first `len` headers have been written, and what they point to is borrowed for
/// `'a`. INVARIANT sent: `sent <= len`.
pub(crate) struct Outgoing<'a> {
    room: Room<'a>,
    len: usize,
    sent: usize,
    borrowed: PhantomData<&'a [u8]>,
}

// SAFETY: it is what it borrows: bytes and addresses that are only read, and memory that is its own.
unsafe impl Send for Outgoing<'_> {}
// SAFETY: as above.
unsafe impl Sync for Outgoing<'_> {}

impl<'a> Outgoing<'a> {
    #[inline(always)]
    pub(crate) fn new<const N: usize>(storage: &'a mut Storage<N>) -> Self {
        Self { room: storage.lend(), len: 0, sent: 0, borrowed: PhantomData }
    }

    #[inline]
    pub(crate) const fn capacity(&self) -> usize {
        self.room.capacity
    }

    #[inline]
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many of them went.
    #[inline]
    pub(crate) const fn sent(&self) -> usize {
        self.sent
    }

    /// Has none from now on.
    #[inline]
    pub(crate) const fn clear(&mut self) {
        (self.len, self.sent) = (0, 0);
    }

    /// Takes `sent` of them for sent, or all if they are fewer.
    #[inline]
    pub(crate) const fn set_sent(&mut self, sent: usize) {
        self.sent = if sent < self.len { sent } else { self.len };
    }

    /// Adds a message of one piece; `None` if there is no room.
    #[inline(always)]
    pub(crate) fn push(&mut self, data: &'a [u8]) -> Option<()> {
        self.room.put(self.len, data.as_ptr().cast_mut(), data.len())?;
        self.len = self.len.wrapping_add(1);
        Some(())
    }

    /// Adds messages of one piece each; `None`, and none is added, if there is no room for all.
    #[inline(always)]
    pub(crate) fn push_all<B: AsRef<[u8]>>(&mut self, messages: &'a [B]) -> Option<()> {
        let parts = |message: &'a B| {
            let data = message.as_ref();
            (data.as_ptr().cast_mut(), data.len())
        };
        self.len = self.room.put_all(self.len, messages.iter(), parts)?;
        Some(())
    }

    /// Adds a message of one piece to an address; `None` if there is no room.
    #[inline]
    pub(crate) fn push_to(&mut self, data: &'a [u8], to: &'a UnixAddr) -> Option<()> {
        self.push(data)?;
        self.last().set_name(to);
        Some(())
    }

    /// Adds a message of several pieces and with control messages; `None` if there is no room.
    #[inline]
    pub(crate) fn push_with(
        &mut self,
        data: &'a [IoSlice<'a>],
        control: &'a [MaybeUninit<u8>],
        to: Option<&'a UnixAddr>,
    ) -> Option<()> {
        self.push(&[])?;
        let header = self.last();
        // `IoSlice`s are `iovec`s by their documentation.
        header.pieces = data.as_ptr().cast_mut().cast();
        header.piece_count = data.len();
        if !control.is_empty() {
            header.control = control.as_ptr().cast_mut().cast();
            header.control_len = control.len();
        }
        if let Some(to) = to {
            header.set_name(to);
        }
        Some(())
    }

    /// The header of the message that was pushed just now, to be made other than plain.
    #[inline]
    fn last(&mut self) -> &mut Header {
        let at = self.len.wrapping_sub(1);
        self.room.spoil(at);
        // SAFETY: INVARIANT put.
        &mut unsafe { self.room.header(at) }.header
    }

    /// Sends by `call`, which is given the headers of those before `end` that have not been sent yet.
    #[inline(always)]
    pub(in crate::sys) fn send_by(
        &mut self,
        end: usize,
        call: impl FnOnce(&mut [BatchHeader]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let unsent = end.min(self.len).saturating_sub(self.sent);
        // SAFETY: INVARIANT sent.
        let first = unsafe { self.room.headers.add(self.sent) };
        // SAFETY: INVARIANT put.
        let headers = unsafe { slice::from_raw_parts_mut(first.as_ptr(), unsent) };
        let count = call(headers)?.min(unsent);
        self.sent = self.sent.wrapping_add(count);
        Ok(count)
    }

    /// Sends those before `end` that have not been sent yet, in order, and gives how many went;
    /// `MSG_NOSIGNAL` is set.
    #[inline(always)]
    pub(crate) fn send(
        &mut self,
        fd: BorrowedFd<'_>,
        end: usize,
        flags: u32,
    ) -> Result<usize, Errno> {
        let flags = net::MSG_NOSIGNAL | flags;
        // SAFETY: what they point to is readable: INVARIANT put.
        self.send_by(end, |headers| unsafe { sendmmsg(fd, headers, flags) })
    }

    /// How many bytes went of the message that was sent last, and how many it has.
    #[inline]
    pub(crate) fn last_sent(&self) -> Option<(usize, usize)> {
        let at = self.sent.checked_sub(1)?;
        // SAFETY: INVARIANT put and INVARIANT sent.
        let message = unsafe { self.room.header(at) };
        Some((message.len as usize, self.data_len(at)?))
    }

    /// How many bytes of data a message has.
    fn data_len(&self, at: usize) -> Option<usize> {
        if at >= self.len {
            return None;
        }
        // SAFETY: INVARIANT put.
        let Header { pieces, piece_count, .. } = unsafe { self.room.header(at) }.header;
        // SAFETY: INVARIANT put; and `IoSlice`s are `iovec`s by their documentation.
        Some(sent_len(unsafe { slice::from_raw_parts(pieces.cast_const().cast(), piece_count) }))
    }

    /// How many descriptors go with a message.
    pub(crate) fn fds(&self, at: usize) -> usize {
        if at >= self.len {
            return 0;
        }
        // SAFETY: INVARIANT put.
        let Header { control, control_len, .. } = unsafe { self.room.header(at) }.header;
        if control.is_null() {
            return 0;
        }
        // SAFETY: they are borrowed, and are sent as they are: all bytes have been written.
        let bytes = unsafe { slice::from_raw_parts(control.cast_const().cast(), control_len) };
        let rights = Messages::of(bytes).filter(|(header, _)| header.is(LEVEL, SCM_RIGHTS));
        rights.fold(0, |fds: usize, (_, slots)| fds.saturating_add(slots.len() / INT_LEN))
    }

    /// Which is the first of the unsent messages that has descriptors, and has not a byte of data; and
    /// how many it has.
    pub(crate) fn bare_fds(&self) -> Option<(usize, usize)> {
        let bare = (self.sent..self.len).filter(|at| self.data_len(*at) == Some(0));
        bare.map(|at| (at, self.fds(at))).find(|(_, fds)| *fds > 0)
    }
}

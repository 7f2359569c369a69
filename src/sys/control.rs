//! Control messages that were received, and who owns the descriptors in them.

mod installed;
mod walk;

use core::fmt;
use core::hint::assert_unchecked;
use core::mem::{ManuallyDrop, MaybeUninit, take};

use heapless::Vec;
use linux_raw_sys::net;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
pub(super) use walk::own_slot;
pub(crate) use walk::{Messages, Rights};
use walk::{close_all, extend_from_all, find_rights, split_first, take_slot, written};

use super::errno::errno;
use super::fds::extend;
use crate::wire::cmsg::{HEADER_LEN, INT_LEN, SCM_CREDENTIALS, SCM_PIDFD, SCM_RIGHTS, UCRED_LEN};

/// A buffer of which it takes knowledge to say what has been written.
type Bytes = [MaybeUninit<u8>];

/// The level of the messages that the kernel makes for these sockets.
pub(crate) const LEVEL: i32 = net::SOL_SOCKET.cast_signed();
pub(crate) const SCM_INQ: i32 = net::SCM_INQ.cast_signed();

/// What the kernel wrote, as it is: the owner of its descriptors until it is known what there is. They
/// are closed on drop.
///
/// INVARIANT written: a header that is reached from the start by `Header::decode` and
/// `Header::space` has been written, and so has its payload. Padding need not have been.
///
/// INVARIANT owned: each slot of an `SCM_RIGHTS` or `SCM_PIDFD` message holds a descriptor that
/// belongs to this value alone, or a negative number.
pub(crate) struct Arrived<'b> {
    messages: &'b mut Bytes,
}

impl<'b> Arrived<'b> {
    /// The messages that the kernel has written to the first `len` bytes.
    ///
    /// # Safety
    ///
    /// There must be so many, and INVARIANT written and INVARIANT owned must hold for them.
    #[inline]
    pub(super) unsafe fn new(buf: &'b mut Bytes, len: usize) -> Self {
        // SAFETY: the caller's promise.
        unsafe { assert_unchecked(len <= buf.len()) };
        let (messages, _) = buf.split_at_mut_checked(len).unwrap_or_default();
        Self { messages }
    }

    /// No messages.
    #[inline]
    pub(crate) const fn none() -> Self {
        Self { messages: &mut [] }
    }

    /// The messages, in the order that the kernel wrote them in.
    #[inline]
    pub(crate) const fn iter(&self) -> Messages<'_> {
        Messages { rest: self.messages }
    }

    /// Moves the descriptors of `SCM_RIGHTS` into `fds`, and closes all others. The answer is how
    /// many found no room there, and have been closed too.
    #[inline(always)]
    pub(crate) fn into_rights<const N: usize>(self, fds: &mut Vec<OwnedFd, N>) -> usize {
        // Each slot is looked at once, and its descriptor given an owner then.
        let messages = &*ManuallyDrop::new(self).messages;
        // SAFETY: INVARIANT written.
        match unsafe { split_first(messages) } {
            // As it is where nothing else was asked for.
            Some((header, slots, None)) if header.is(LEVEL, SCM_RIGHTS) => {
                // SAFETY: INVARIANT written and INVARIANT owned.
                unsafe { extend(fds, slots) }
            }
            None => 0,
            // SAFETY: INVARIANT written and INVARIANT owned.
            _ => unsafe { extend_from_all(fds, messages) },
        }
    }

    /// Closes all descriptors, and says how many were of `SCM_RIGHTS`.
    pub(crate) fn close(self) -> usize {
        // SAFETY: they are this value's, which does not look at them again.
        unsafe { close_all(ManuallyDrop::new(self).messages) }
    }

    /// Finds out in one walk what there is.
    #[inline]
    pub(crate) fn sort(self) -> Control<'b> {
        let mut this = ManuallyDrop::new(self);
        let messages = take(&mut this.messages);
        let (mut credentials, mut pidfd, mut others) = (0, 0, false);
        let (mut next, mut end) = (0, 0);
        let (mut at, mut rest) = (0usize, &*messages);
        // SAFETY: INVARIANT written.
        while let Some((header, _, behind)) = unsafe { split_first(rest) } {
            let payload = at.wrapping_add(HEADER_LEN);
            match (header.level, header.kind) {
                (LEVEL, SCM_CREDENTIALS) if header.payload_len == UCRED_LEN && credentials == 0 => {
                    credentials = payload;
                }
                (LEVEL, SCM_RIGHTS) if end == 0 => {
                    next = payload;
                    end = payload.wrapping_add(header.payload_len & !(INT_LEN - 1));
                }
                (LEVEL, SCM_PIDFD) if header.payload_len == INT_LEN && pidfd == 0 => {
                    pidfd = payload;
                }
                (LEVEL, SCM_RIGHTS | SCM_PIDFD) => others = true,
                _ => {}
            }
            let Some(behind) = behind else { break };
            at = at.wrapping_add(header.space());
            rest = behind;
        }
        Control { messages, credentials, next, end, pidfd, others }
    }
}

// Not derived, here and below: `MaybeUninit` as `Debug` tells nothing of a byte, and can panic.
impl fmt::Debug for Arrived<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

impl Drop for Arrived<'_> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: they are this value's, which ends.
        unsafe { close_all(self.messages) };
    }
}

/// Control messages, sorted, and the descriptors in them that nobody has taken yet: those are closed
/// on drop.
///
/// INVARIANT written, INVARIANT owned: as of `Arrived`.
pub(crate) struct Control<'b> {
    messages: &'b mut Bytes,
    /// Where the credentials are, if they are whole; else 0. INVARIANT credentials: there is such a
    /// payload.
    credentials: usize,
    /// Where the next slot is of the `SCM_RIGHTS` message that is being taken from, and where that
    /// message ends. INVARIANT slots: between them are slots of such a message.
    next: usize,
    end: usize,
    /// Where the slot of the `SCM_PIDFD` message is, while it has not been taken; else 0.
    /// INVARIANT pidfd: there is such a slot.
    pidfd: usize,
    /// Whether there are more such messages than one of each. No kernel is known to write any.
    others: bool,
}

impl Control<'_> {
    /// The messages, in the order that the kernel wrote them in.
    #[inline]
    pub(crate) const fn iter(&self) -> Messages<'_> {
        Messages { rest: self.messages }
    }

    /// The payload of the credentials, if they are whole.
    #[inline]
    pub(crate) fn credentials(&self) -> Option<[u8; UCRED_LEN]> {
        match self.credentials {
            0 => None,
            // SAFETY: INVARIANT credentials.
            at => Some(unsafe { written(self.messages.get(at..)?.first_chunk()?) }),
        }
    }

    /// The descriptors of `SCM_RIGHTS` that nobody has taken yet, in order.
    #[inline]
    pub(crate) const fn rights(&self) -> Rights<'_> {
        Rights { slots: &[], rest: self.iter() }
    }

    /// Takes the descriptors of `SCM_RIGHTS`, each as the iterator is asked for it.
    #[inline]
    pub(crate) const fn take_rights(&mut self) -> TakeRights<'_> {
        let Self { messages, next, end, others, .. } = self;
        TakeRights { messages, next, end, others: *others }
    }

    /// Takes the pidfd; or the errno that stands in its place where the kernel could make none.
    #[inline]
    pub(crate) fn take_pidfd(&mut self) -> Result<Option<OwnedFd>, Errno> {
        if self.pidfd == 0 {
            return Ok(None);
        }
        let slot = self.messages.get_mut(self.pidfd..).and_then(<[_]>::first_chunk_mut);
        let Some(slot) = slot else { return Ok(None) };
        // SAFETY: INVARIANT pidfd.
        match unsafe { take_slot(slot) } {
            Ok(fd) => {
                self.pidfd = 0;
                Ok(Some(fd))
            }
            Err(number) => Err(errno(number.wrapping_neg()).unwrap_or(Errno::PROTO)),
        }
    }
}

impl fmt::Debug for Control<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

impl Drop for Control<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.next < self.end || self.pidfd != 0 || self.others {
            // SAFETY: they are this value's, which ends.
            unsafe { close_all(self.messages) };
        }
    }
}

/// Takes descriptors of `SCM_RIGHTS` out of a `Control`, which is borrowed, with its invariants.
pub(crate) struct TakeRights<'a> {
    messages: &'a mut Bytes,
    next: &'a mut usize,
    end: &'a mut usize,
    others: bool,
}

impl Iterator for TakeRights<'_> {
    type Item = OwnedFd;

    #[inline]
    fn next(&mut self) -> Option<OwnedFd> {
        loop {
            while *self.next < *self.end {
                let slot = self.messages.get_mut(*self.next..)?.first_chunk_mut()?;
                *self.next = self.next.wrapping_add(INT_LEN);
                // SAFETY: INVARIANT slots.
                if let Ok(fd) = unsafe { take_slot(slot) } {
                    return Some(fd);
                }
            }
            if !self.others {
                return None;
            }
            // SAFETY: INVARIANT written.
            (*self.next, *self.end) = unsafe { find_rights(self.messages, *self.end) }?;
        }
    }
}

impl fmt::Debug for TakeRights<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TakeRights").finish_non_exhaustive()
    }
}

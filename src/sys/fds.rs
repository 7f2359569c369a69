//! Descriptors in a container of fixed capacity.

use core::mem::{ManuallyDrop, MaybeUninit};
use core::{ptr, slice};

use heapless::Vec;
use rustix::fd::OwnedFd;

use crate::wire::cmsg::{HEADER_LEN, INT_LEN, UCRED_LEN, message_space};

/// Room for the messages that bring `N` descriptors, and for credentials and a pidfd beside them,
/// which would else push descriptors out.
#[repr(C, align(8))]
pub(crate) struct FdsRoom<const N: usize> {
    others: [MaybeUninit<u8>; OTHERS],
    header: [MaybeUninit<u8>; HEADER_LEN],
    fds: [[MaybeUninit<u8>; INT_LEN]; N],
}

const OTHERS: usize = 56;

impl<const N: usize> FdsRoom<N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        // Both come with padding; of an odd number of descriptors there is padding too.
        const { assert!(OTHERS >= message_space(UCRED_LEN) + message_space(INT_LEN)) };
        Self {
            others: [MaybeUninit::uninit(); OTHERS],
            header: [MaybeUninit::uninit(); HEADER_LEN],
            fds: [[MaybeUninit::uninit(); INT_LEN]; N],
        }
    }

    /// All of it, to the byte, so that not one descriptor more fits than must.
    #[inline]
    pub(crate) const fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        let len = N.saturating_mul(INT_LEN).saturating_add(OTHERS + HEADER_LEN);
        // SAFETY: arrays of bytes one behind the other, `len` in all, borrowed for as long as the
        // result.
        unsafe { slice::from_raw_parts_mut(ptr::from_mut(self).cast(), len) }
    }
}

/// Appends a descriptor; gives it back if there is no room.
///
/// `Vec::push` does the same, but keeps an overflow check, and so a panic, at some optimisation
/// levels; so does `Vec::push_unchecked`.
#[inline]
pub(crate) fn push<const N: usize>(fds: &mut Vec<OwnedFd, N>, fd: OwnedFd) -> Result<(), OwnedFd> {
    let len = fds.len();
    if len >= N {
        return Err(fd);
    }
    // SAFETY: within the capacity, of which `len` is less than all.
    let end = unsafe { fds.as_mut_ptr().add(len) };
    // SAFETY: there is room, which holds nothing yet.
    unsafe { end.write(fd) };
    // SAFETY: not more than the capacity, and the one that it grows by was written just now.
    unsafe { fds.set_len(len.wrapping_add(1)) };
    Ok(())
}

/// Descriptors that are handed out from the front; what is left is closed on drop.
#[derive(Debug)]
pub(crate) struct Front<const N: usize> {
    /// INVARIANT: those below `next` are owned by somebody else.
    fds: ManuallyDrop<Vec<OwnedFd, N>>,
    next: usize,
}

impl<const N: usize> Front<N> {
    #[inline]
    pub(crate) const fn new(fds: Vec<OwnedFd, N>) -> Self {
        Self { fds: ManuallyDrop::new(fds), next: 0 }
    }

    /// What is left.
    #[inline]
    pub(crate) fn rest(&self) -> &[OwnedFd] {
        self.fds.get(self.next..).unwrap_or_default()
    }
}

impl<const N: usize> Iterator for Front<N> {
    type Item = OwnedFd;

    #[inline]
    fn next(&mut self) -> Option<OwnedFd> {
        let fd = ptr::from_ref(self.rest().first()?);
        self.next = self.next.wrapping_add(1);
        // SAFETY: it was among those that are left, and with `next` moved on it is no more, so this
        // is the only one to own it.
        Some(unsafe { fd.read() })
    }
}

impl<const N: usize> Drop for Front<N> {
    #[inline]
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

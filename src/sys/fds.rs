//! Descriptors in a container of fixed capacity.

use core::mem::{self, ManuallyDrop, MaybeUninit};
use core::{fmt, ptr, slice};

use heapless::Vec;
use rustix::fd::{BorrowedFd, OwnedFd};

use super::control::own_slot;
use crate::wire::cmsg::{HEADER_LEN, INT_LEN, UCRED_LEN, message_space};

/// Room for the messages that bring `N` descriptors, and for credentials and a pidfd beside them,
/// which would else push descriptors out.
pub(crate) struct FdsRoom<const N: usize> {
    layout: MaybeUninit<Layout<N>>,
}

#[repr(C, align(8))]
struct Layout<const N: usize> {
    others: [u8; OTHERS],
    header: [u8; HEADER_LEN],
    fds: [[u8; INT_LEN]; N],
}

const OTHERS: usize = 56;

impl<const N: usize> FdsRoom<N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        // Both come with padding; of an odd number of descriptors there is padding too.
        const { assert!(OTHERS >= message_space(UCRED_LEN) + message_space(INT_LEN)) };
        Self { layout: MaybeUninit::uninit() }
    }

    /// All of it, to the byte, so that not one descriptor more fits than must.
    #[inline]
    pub(crate) const fn bytes(&mut self) -> &mut [MaybeUninit<u8>] {
        let len = N.saturating_mul(INT_LEN).saturating_add(OTHERS + HEADER_LEN);
        // SAFETY: arrays of bytes one behind the other, `len` in all, borrowed for as long as the
        // result.
        unsafe { slice::from_raw_parts_mut(self.layout.as_mut_ptr().cast(), len) }
    }
}

/// Writes the numbers of descriptors, one after the other, as many as there is room for.
#[inline]
pub(crate) fn write_numbers(to: &mut [MaybeUninit<u8>], fds: &[BorrowedFd<'_>]) {
    const { assert!(size_of::<BorrowedFd<'_>>() == INT_LEN) };
    let len = mem::size_of_val(fds).min(to.len());
    // SAFETY:
    // - readable for `len` bytes: no more than `fds` has, and a `BorrowedFd` is its number, by its
    //   documentation.
    // - writable for `len` bytes: no more than `to` has.
    // - apart from each other: `to` is borrowed for this alone.
    unsafe { ptr::copy_nonoverlapping(fds.as_ptr().cast(), to.as_mut_ptr(), len) };
}

/// Appends the descriptors in the slots of an `SCM_RIGHTS` message, and says how many found no room,
/// and were closed.
///
/// # Safety
///
/// The slots must have been written; each holds a descriptor that nobody owns, or a negative number;
/// and nobody may look at them again.
#[inline]
pub(super) unsafe fn extend<const N: usize>(
    fds: &mut Vec<OwnedFd, N>,
    slots: &[MaybeUninit<u8>],
) -> usize {
    let (mut slots, mut surplus) = (slots, 0usize);
    let len = fds.len();
    let room = N.saturating_sub(len);
    // SAFETY: within the capacity.
    let end = unsafe { fds.as_mut_ptr().add(len) };
    // `Vec` would give it too, and push, each with a check that keeps a panic at some optimisation
    // levels.
    // SAFETY: what is left of the capacity behind `len`, borrowed from `fds` as long as it is used.
    let mut spare = unsafe { slice::from_raw_parts_mut(end.cast::<MaybeUninit<OwnedFd>>(), room) };
    // By eight, as long as there are so many with room, and none is negative.
    while let Some((eight, rest)) = slots.split_first_chunk::<{ 8 * INT_LEN }>() {
        // SAFETY: written, by the caller's promise; of any bytes there are four numbers.
        let [ab, cd, ef, gh]: [u64; 4] =
            unsafe { ptr::from_ref(eight).cast::<[u64; 4]>().read_unaligned() };
        if (ab | cd | ef | gh) & SIGNS != 0 || spare.len() < 8 {
            break;
        }
        let Some((to, left)) = mem::take(&mut spare).split_first_chunk_mut::<8>() else { break };
        // SAFETY: within `spare`; what is written is eight numbers that are not negative, so
        // descriptors that nobody owns, and an `OwnedFd` is its number.
        unsafe { ptr::copy_nonoverlapping(eight, ptr::from_mut(to).cast(), 1) };
        (slots, spare) = (rest, left);
    }
    let mut written = room.wrapping_sub(spare.len());
    while let Some((slot, rest)) = slots.split_first_chunk::<INT_LEN>() {
        slots = rest;
        // SAFETY: the caller's promise.
        let Ok(fd) = (unsafe { own_slot(slot) }) else { continue };
        match mem::take(&mut spare).split_first_mut() {
            Some((to, left)) => {
                to.write(fd);
                written = written.wrapping_add(1);
                spare = left;
            }
            None => surplus = surplus.wrapping_add(1),
        }
    }
    // SAFETY: so many have been written behind the first `len`.
    unsafe { fds.set_len(len.wrapping_add(written)) };
    surplus
}

/// The signs of two descriptors.
const SIGNS: u64 = 0x8000_0000_8000_0000;

/// The first `N` of them, or as many as there are.
#[inline]
pub(crate) fn first<const N: usize>(mut fds: impl Iterator<Item = OwnedFd>) -> Vec<OwnedFd, N> {
    let mut all = Vec::<OwnedFd, N>::new();
    while all.len() < N {
        let Some(fd) = fds.next() else { break };
        let len = all.len();
        // SAFETY: within the capacity, of which `len` is less than all.
        let end = unsafe { all.as_mut_ptr().add(len) };
        // SAFETY: there is room, which holds nothing yet.
        unsafe { end.write(fd) };
        // SAFETY: not more than the capacity, and the one that it grows by was written just now.
        unsafe { all.set_len(len.wrapping_add(1)) };
    }
    all
}

/// Descriptors that are handed out from the front; what is left is closed on drop.
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

// Not derived: those that were handed out are none of its own, and may be closed by now.
impl<const N: usize> fmt::Debug for Front<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rest().fmt(f)
    }
}

impl<const N: usize> Drop for Front<N> {
    #[inline]
    fn drop(&mut self) {
        self.for_each(drop);
    }
}

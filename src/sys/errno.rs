//! An errno of a number that the kernel gave, without the panic of rustix's own way.

use core::mem::{size_of, transmute_copy};

use rustix::io::Errno;

/// What the kernel answers: -4095 to -1 for an errno, and anything else for success.
#[cfg(any(asm_syscalls, test))]
#[inline]
pub(super) const fn answer(raw: usize) -> Result<usize, Errno> {
    const FIRST_ERROR: usize = LAST.wrapping_neg();
    if raw >= FIRST_ERROR {
        // SAFETY: -4095 to -1, as the lower half of any width.
        #[allow(clippy::cast_possible_truncation)]
        return Err(unsafe { of_negated(raw as u16) });
    }
    Ok(raw)
}

/// The errno of this number; `None` for what is none: 0 and less, 4096 and more.
#[inline]
pub(super) const fn errno(number: i32) -> Option<Errno> {
    match number {
        // SAFETY: 1 to 4095 is within 16 bits, and negated it is what is asked for.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        1..=LAST_INT => Some(unsafe { of_negated(number.wrapping_neg() as u16) }),
        _ => None,
    }
}

/// The errno whose negated number this is.
///
/// `Errno::from_raw_os_error` asserts the range once more, in a function that is not inlined at
/// every optimisation level: a panic in each program, though it can never come.
///
/// # Safety
///
/// It must be -4095 to -1, in 16 bits.
#[inline]
const unsafe fn of_negated(bits: u16) -> Errno {
    if IS_NEGATED_U16 {
        // SAFETY: `IS_NEGATED_U16` has seen that an `Errno` is of this size, and that there is one
        // of these very bits for each number in the range, which is the caller's promise.
        return unsafe { transmute_copy(&bits) };
    }
    // rustix's libc backend, which asserts nothing.
    #[allow(clippy::cast_lossless)] // No `From` in a constant.
    Errno::from_raw_os_error(bits.wrapping_neg() as i32)
}

/// `MAX_ERRNO` of the kernel.
const LAST: usize = 4095;
const LAST_INT: i32 = 4095;

/// Whether each `Errno` is stored as its negated number in 16 bits, as in rustix's own backend for
/// Linux. It is looked at, one by one, as this is compiled; so nothing hangs on how rustix does it.
const IS_NEGATED_U16: bool = size_of::<Errno>() == size_of::<u16>() && {
    let mut number: u16 = 1;
    let mut same = true;
    while number as usize <= LAST {
        // No `From` in a constant.
        #[allow(clippy::cast_lossless)]
        let errno = Errno::from_raw_os_error(number as i32);
        // SAFETY: both are of the same size, and an uninitialised byte would not compile.
        let bits: u16 = unsafe { transmute_copy(&errno) };
        same &= bits == number.wrapping_neg();
        number = number.wrapping_add(1);
    }
    same
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_the_errno_that_rustix_makes_of_it() {
        for number in 1..=4095 {
            let wanted = Errno::from_raw_os_error(number);
            assert_eq!(errno(number), Some(wanted));
            assert_eq!(answer((-(number as isize)).cast_unsigned()), Err(wanted));
        }
        for none in [i32::MIN, -4096, -1, 0, 4096, 65_535, 65_536, 65_537, i32::MAX] {
            assert_eq!(errno(none), None);
        }
        for success in [0, 1, 4095, 65_535, usize::MAX / 2, usize::MAX - 4095] {
            assert_eq!(answer(success), Ok(success));
        }
    }
}

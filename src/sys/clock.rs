//! The clock that deadlines are measured by.

use linux_raw_sys::general;
use rustix::io::Errno;

use super::syscall::{int_arg, ptr_arg, syscall};

/// Seconds and nanoseconds since some moment in the past, never going back.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Monotonic {
    pub(crate) seconds: i64,
    pub(crate) nanoseconds: i64,
}

/// `CLOCK_MONOTONIC`, in 64 bits on every architecture.
pub(crate) fn monotonic() -> Result<Monotonic, Errno> {
    #[cfg(target_pointer_width = "32")]
    {
        match read_clock::<general::__kernel_timespec>(general::__NR_clock_gettime64) {
            // Before Linux 5.1.
            Err(Errno::NOSYS) => {}
            Err(error) => return Err(error),
            Ok(time) => return Ok(Monotonic { seconds: time.tv_sec, nanoseconds: time.tv_nsec }),
        }
    }
    let time = read_clock::<general::timespec>(general::__NR_clock_gettime)?;
    #[allow(clippy::useless_conversion)] // Their width is the machine's.
    Ok(Monotonic { seconds: time.tv_sec.into(), nanoseconds: time.tv_nsec.into() })
}

/// The two layouts that the kernel has for a time.
trait Timespec: Copy {
    const ZERO: Self;
}

impl Timespec for general::timespec {
    const ZERO: Self = Self { tv_sec: 0, tv_nsec: 0 };
}

#[cfg(target_pointer_width = "32")]
impl Timespec for general::__kernel_timespec {
    const ZERO: Self = Self { tv_sec: 0, tv_nsec: 0 };
}

/// `number` must be the call that fills a `T`.
fn read_clock<T: Timespec>(number: u32) -> Result<T, Errno> {
    let mut time = T::ZERO;
    let clock = int_arg(general::CLOCK_MONOTONIC.cast_signed());
    // SAFETY: the kernel writes one `T` to `time`; any bytes are a `T`, which is two numbers.
    unsafe { syscall!(number; clock, ptr_arg(&raw mut time)) }?;
    Ok(time)
}

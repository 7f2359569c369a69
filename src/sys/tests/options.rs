//! What becomes of a time on its way to the kernel and back.

use core::time::Duration;

use rustix::io::Errno;

use crate::sys::timeout::{duration, parts};

#[test]
fn a_time_is_rounded_up_and_never_a_million_microseconds() {
    let max = i64::MAX;
    for (time, expected) in [
        (Duration::from_nanos(1), (0, 1)),
        (Duration::from_nanos(999), (0, 1)),
        (Duration::from_nanos(1000), (0, 1)),
        (Duration::from_nanos(1001), (0, 2)),
        (Duration::new(0, 999_999_000), (0, 999_999)),
        (Duration::new(0, 999_999_001), (1, 0)),
        (Duration::new(7, 999_999_999), (8, 0)),
        (Duration::new(5, 0), (5, 0)),
        (Duration::new(max.cast_unsigned(), 999_999_999), (max, 0)),
        (Duration::new(max.cast_unsigned() + 1, 0), (max, 0)),
        (Duration::MAX, (max, 0)),
    ] {
        assert_eq!(parts(time), expected, "{time:?}");
    }
}

#[test]
fn what_is_no_time_is_refused() {
    assert_eq!(duration(0, 0), Ok(None));
    assert_eq!(duration(0, 1), Ok(Some(Duration::from_micros(1))));
    assert_eq!(duration(3, 999_999), Ok(Some(Duration::new(3, 999_999_000))));
    let max = i64::MAX;
    assert_eq!(duration(max, 0), Ok(Some(Duration::from_secs(max.cast_unsigned()))));
    for (seconds, microseconds) in
        [(-1, 0), (0, -1), (0, 1_000_000), (max, max), (0, i64::from(u32::MAX) + 1), (i64::MIN, 0)]
    {
        assert_eq!(duration(seconds, microseconds), Err(Errno::PROTO));
    }
}

//! What becomes of a time on its way to the kernel and back.

use core::time::Duration;

use rustix::io::Errno;

use crate::sys::fd::borrow;
use crate::sys::socket::{Kind, socket};
use crate::sys::timeout::{
    Timeout, duration, parts, set_timeout, set_usual_timeout, timeout, usual_timeout,
};

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

#[test]
#[cfg_attr(miri, ignore = "Miri has no such system call")]
fn both_options_of_32_bit_machines_are_one() {
    let socket = socket(Kind::Stream).unwrap().0;
    let fd = borrow(&socket);
    let limits = |which| (timeout(fd, which), usual_timeout(fd, which));
    for (which, other) in [(Timeout::Receive, Timeout::Send), (Timeout::Send, Timeout::Receive)] {
        let (set, none) = (Ok(Some(Duration::from_millis(7500))), (Ok(None), Ok(None)));
        assert_eq!(set_usual_timeout(fd, which, 7, 500_000), Ok(()));
        assert_eq!((limits(which), limits(other)), ((set, set), none));
        assert_eq!(set_timeout(fd, which, None), Ok(()));
        assert_eq!(limits(which), none);
        assert_eq!(set_timeout(fd, which, Some(Duration::from_millis(7500))), Ok(()));
        assert_eq!((limits(which), limits(other)), ((set, set), none));
        // A 64-bit kernel can count what a 32-bit process can say.
        let most = Ok(Some(Duration::from_secs(i32::MAX as u64)));
        let most = if size_of::<usize>() == 4 { most } else { Ok(None) };
        assert_eq!(set_usual_timeout(fd, which, i64::MAX, 999_999), Ok(()));
        assert!(limits(which) == (most, most) || limits(which) == none);
        assert_eq!(set_timeout(fd, which, Some(Duration::MAX)), Ok(()));
        // Where there is but the one that every kernel knows, it is the same again.
        let narrow = size_of::<usize>() == 4 && limits(which) == (most, most);
        assert!(narrow || limits(which) == none);
        assert_eq!(set_timeout(fd, which, None), Ok(()));
    }
}

//! Time limits.

use std::thread;
use std::time::{Duration, Instant};

use afunix::{Errno, RecvOptions, UnixDatagram};

use crate::common::emulated::{OPTION, left_out_by_qemu};
use crate::common::kinds::{Connects, Listens, Socket};
use crate::common::{Watchdog, name, passes_in_child, start_waiting};
use crate::traits::{Options, Queue, set_option};

for_all!(
    limit_is_what_was_set_rounded_up_to_a_tick
    no_time_is_refused_and_changes_nothing
    limits_beyond_the_kernel_are_none
);
for_data!(
    receive_that_waits_too_long_is_eagain_and_takes_nothing
    send_that_waits_too_long_is_eagain_and_sends_nothing
    limits_of_both_directions_are_apart
    call_that_waits_keeps_its_limit
    signal_ends_a_call_with_a_limit_even_if_calls_restart
);
for_connecting!(
    accept_that_waits_too_long_is_eagain
    connect_that_waits_too_long_is_eagain_and_can_be_called_again
);

/// Longer than a tick of the slowest clock, shorter than anybody minds.
const SHORT: Duration = Duration::from_millis(60);
const TICK: Duration = Duration::from_millis(10);

/// Makes a call that must be `EAGAIN`, and not before the limit.
#[track_caller]
fn expires<R: std::fmt::Debug>(limit: Duration, call: impl FnOnce() -> Result<R, Errno>) {
    let start = Instant::now();
    assert_eq!(call().unwrap_err(), Errno::AGAIN);
    assert!(start.elapsed() >= limit, "{:?}", start.elapsed());
}

/// See "A time limit is counted in ticks" in `kernel.md`.
fn limit_is_what_was_set_rounded_up_to_a_tick<T: Options>(_: &str) {
    let socket = T::fresh();
    assert_eq!(socket.limit(), Ok(None));
    for limit in [
        Duration::from_nanos(1),
        Duration::from_micros(1),
        Duration::from_millis(1),
        Duration::new(0, 999_999_000),
        // Rounded up to a million microseconds, which the kernel would refuse.
        Duration::new(0, 999_999_001),
        Duration::new(5, 999_999_999),
        Duration::from_secs(1),
        Duration::from_secs(86_400 * 7),
    ] {
        assert_eq!(socket.set_limit(Some(limit)), Ok(()));
        let set = socket.limit().unwrap().unwrap();
        assert!(limit <= set && set <= limit + TICK, "{limit:?} became {set:?}");
    }
    assert_eq!(socket.set_limit(None), Ok(()));
    assert_eq!(socket.limit(), Ok(None));
}

/// See "No time at all is no limit" in `kernel.md`.
fn no_time_is_refused_and_changes_nothing<T: Options>(_: &str) {
    let socket = T::fresh();
    socket.set_limit(Some(Duration::from_secs(7))).unwrap();
    assert_eq!(socket.set_limit(Some(Duration::ZERO)), Err(Errno::INVAL));
    assert_eq!(socket.limit(), Ok(Some(Duration::from_secs(7))));
    // What the kernel makes of the rest, which cannot be asked for here.
    let set = |seconds: i64, microseconds: i64| {
        let time = libc::timeval { tv_sec: seconds as _, tv_usec: microseconds as _ };
        set_option(&socket, libc::SO_RCVTIMEO, time)
    };
    assert_eq!(set(0, 1_000_000), Err(libc::EDOM));
    assert_eq!(set(0, -1), Err(libc::EDOM));
    assert_eq!(socket.limit(), Ok(Some(Duration::from_secs(7))));
    assert_eq!(set(0, 0), Ok(()));
    assert_eq!(socket.limit(), Ok(None));
    // It does not wait, and reads back as if it did for ever.
    assert_eq!(set(-1, 0), Ok(()));
    assert_eq!(socket.limit(), Ok(None));
}

fn limits_beyond_the_kernel_are_none<T: Options>(_: &str) {
    let socket = T::fresh();
    for limit in [Duration::MAX, Duration::from_secs(i64::MAX as u64)] {
        socket.set_limit(Some(Duration::from_secs(1))).unwrap();
        assert_eq!(socket.set_limit(Some(limit)), Ok(()));
        // Where the option with 64 bits for the seconds is not known there are as many as fit.
        let most = Ok(Some(Duration::from_secs(i32::MAX as u64)));
        let is_narrow = size_of::<usize>() == 4 && socket.limit() == most;
        if !is_narrow || !left_out_by_qemu(OPTION) {
            assert_eq!(socket.limit(), Ok(None));
        }
    }
}

/// See "Calls that wait too long are EAGAIN" in `kernel.md`.
fn receive_that_waits_too_long_is_eagain_and_takes_nothing<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    b.set_limit(Some(SHORT)).unwrap();
    let mut buf = [7; 4];
    expires(SHORT, || b.get(&mut buf));
    expires(SHORT, || b.look(&mut buf));
    expires(SHORT, || b.recv_fds::<1>(&mut []).map_err(|error| error.errno()));
    let mut control = afunix::AncillaryBuf::<64>::new();
    expires(SHORT, || {
        let data = &mut [afunix::IoSliceMut::new(&mut buf)];
        let answer = b.recv_with(data, &mut control, RecvOptions::new());
        answer.map(drop).map_err(|error| error.errno())
    });
    assert_eq!(buf, [7; 4]);
    // It limits nothing but the wait.
    a.put(b"word").unwrap();
    assert_eq!((b.get(&mut buf), &buf), (Ok(4), b"word"));
    // The other socket, and sends, have none.
    assert_eq!((a.limit(), b.write_timeout()), (Ok(None), Ok(None)));
}

fn send_that_waits_too_long_is_eagain_and_sends_nothing<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    a.set_write_timeout(Some(SHORT)).unwrap();
    let mut sent = 0;
    let error = loop {
        let start = Instant::now();
        match a.put(&[5; 1024]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert!(start.elapsed() >= SHORT);
                break error;
            }
        }
    };
    assert_eq!(error, Errno::AGAIN);
    expires(SHORT, || a.send_fds(b"x", &[]).map_err(|error| error.errno()));
    // What was sent is there, and nothing else.
    b.set_nonblocking(true).unwrap();
    let mut received = 0;
    while let Ok(count) = b.get(&mut [0; 1024]) {
        received += count;
    }
    assert_eq!(received, sent);
    assert_eq!(a.put(b"x"), Ok(1));
}

fn limits_of_both_directions_are_apart<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    let (long, longer) = (Duration::from_secs(8), Duration::from_secs(16));
    a.set_limit(Some(long)).unwrap();
    assert_eq!((a.limit(), a.write_timeout()), (Ok(Some(long)), Ok(None)));
    a.set_write_timeout(Some(longer)).unwrap();
    assert_eq!((a.limit(), a.write_timeout()), (Ok(Some(long)), Ok(Some(longer))));
    assert_eq!(a.set_write_timeout(Some(Duration::ZERO)), Err(Errno::INVAL));
    a.set_limit(None).unwrap();
    assert_eq!((a.limit(), a.write_timeout()), (Ok(None), Ok(Some(longer))));
    assert_eq!((b.limit(), b.write_timeout()), (Ok(None), Ok(None)));
}

fn call_that_waits_keeps_its_limit<T: Queue>(_: &str) {
    let (a, b) = T::pair().unwrap();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || b.get(&mut [0; 4]));
        b.set_limit(Some(Duration::from_millis(1))).unwrap();
        thread::sleep(SHORT);
        assert!(!waiting.is_finished());
        a.put(b"word").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(4));
    });
}

/// See "Calls that wait too long are EAGAIN" in `kernel.md`.
fn signal_ends_a_call_with_a_limit_even_if_calls_restart<T: Queue>(test: &str) {
    extern "C" fn nothing(_: libc::c_int) {}
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        b.set_limit(Some(Duration::from_secs(20))).unwrap();
        // SAFETY: zeros are a value of it; the handler does nothing.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART;
            assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            let waiting = start_waiting(scope, || {
                // SAFETY: it cannot fail.
                sender.send(unsafe { libc::gettid() }).unwrap();
                b.get(&mut [0; 4])
            });
            let tid = receiver.recv().unwrap();
            // SAFETY: numbers alone.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGUSR1) };
            assert_eq!(waiting.join().unwrap(), Err(Errno::INTR));
        });
        drop(a);
    });
}

fn accept_that_waits_too_long_is_eagain<T: Connects>(_: &str)
where
    T::Listener: Options,
{
    let addr = name("listener");
    let listener = T::Listener::bind(&addr).unwrap();
    listener.set_limit(Some(SHORT)).unwrap();
    expires(SHORT, || listener.accept());
    let _client = T::connect(&addr).unwrap();
    assert!(listener.accept().is_ok());
}

/// See "Calls that wait too long are EAGAIN" in `kernel.md`.
fn connect_that_waits_too_long_is_eagain_and_can_be_called_again<T: Connects + Queue>(_: &str) {
    let addr = name("listener");
    let listener = T::Listener::bind_with_backlog(&addr, 0).unwrap();
    let _first = T::connect(&addr).unwrap();
    let client = T::unbound().unwrap();
    client.set_write_timeout(Some(SHORT)).unwrap();
    expires(SHORT, || client.connect_to(&addr));
    assert_eq!(client.peer_addr(), Err(Errno::NOTCONN));
    listener.accept().unwrap();
    assert_eq!(client.connect_to(&addr), Ok(()));
}

#[test]
fn send_to_a_full_queue_elsewhere_is_eagain() {
    let _watchdog = Watchdog::new();
    let (_server, there) = UnixDatagram::autobind().unwrap();
    let client = UnixDatagram::unbound().unwrap();
    client.set_write_timeout(Some(SHORT)).unwrap();
    let mut error = None;
    while error.is_none() {
        error = client.send_to(b"x", &there).err();
    }
    assert_eq!(error, Some(Errno::AGAIN));
}

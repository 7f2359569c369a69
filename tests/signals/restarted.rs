//! Signals whose handler was installed with `SA_RESTART`: a call that waits without a time limit does
//! not see them. See "Calls that wait too long are EAGAIN" in `kernel.md`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use afunix::UnixDatagram;

use crate::common::kinds::{Connects, Data, Listens, Socket};
use crate::common::{Watchdog, name, passes_in_child, start_waiting};

for_data!(
    receive_that_waits_is_not_ended_by_a_signal_that_restarts
    send_that_waits_is_not_ended_by_a_signal_that_restarts
);
for_connecting!(
    accept_that_waits_is_not_ended_by_a_signal_that_restarts
    connect_that_waits_is_not_ended_by_a_signal_that_restarts
);

static HANDLED: AtomicU32 = AtomicU32::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Makes a call that waits, sends it signals, and calls `end` while it still waits. Gives what came
/// of the call.
fn restarted<R: Send>(call: impl FnOnce() -> R + Send, end: impl FnOnce()) -> R {
    // SAFETY: zeros are a value of it; the handler adds to a number.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        assert_eq!(libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()), 0);
    }
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let waiting = start_waiting(scope, move || {
            // SAFETY: it cannot fail.
            sender.send(unsafe { libc::gettid() }).unwrap();
            call()
        });
        let tid = receiver.recv().unwrap();
        for _ in 0..3 {
            let before = HANDLED.load(Ordering::Relaxed);
            // SAFETY: numbers alone.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, libc::SIGUSR1) };
            while HANDLED.load(Ordering::Relaxed) == before {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(10));
            assert!(!waiting.is_finished(), "the signal ended the call");
        }
        end();
        waiting.join().unwrap()
    })
}

fn receive_that_waits_is_not_ended_by_a_signal_that_restarts<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let received = restarted(
            || b.get(&mut [0; 8]),
            || {
                a.put(b"word").unwrap();
            },
        );
        assert_eq!(received, Ok(4));
    });
}

fn send_that_waits_is_not_ended_by_a_signal_that_restarts<T: Data>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        a.set_nonblocking(true).unwrap();
        for piece in [&[1; 4096][..], &[1]] {
            while a.put(piece).is_ok() {}
        }
        a.set_nonblocking(false).unwrap();
        let sent = restarted(
            || a.put(b"more"),
            || {
                b.set_nonblocking(true).unwrap();
                while b.get(&mut [0; 4096]).is_ok() {}
            },
        );
        assert_eq!(sent, Ok(4));
    });
}

#[test]
fn send_to_a_full_queue_is_not_ended_by_a_signal_that_restarts() {
    let _watchdog = Watchdog::new();
    const TEST: &str = "restarted::send_to_a_full_queue_is_not_ended_by_a_signal_that_restarts";
    passes_in_child(TEST, || {
        let (receiver, there) = UnixDatagram::autobind().unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"x", &there).is_ok() {}
        sender.set_nonblocking(false).unwrap();
        let sent = restarted(
            || sender.send_to(b"more", &there),
            || {
                let _ = receiver.recv(&mut [0; 8]).unwrap();
            },
        );
        assert_eq!(sent, Ok(4));
    });
}

fn accept_that_waits_is_not_ended_by_a_signal_that_restarts<T: Connects>(test: &str) {
    passes_in_child(test, || {
        let (listener, server) = T::Listener::autobind().unwrap();
        let mut client = None;
        let accepted =
            restarted(|| listener.accept().map(drop), || client = T::connect(&server).ok());
        assert_eq!((accepted, client.is_some()), (Ok(()), true));
    });
}

fn connect_that_waits_is_not_ended_by_a_signal_that_restarts<T: Connects>(test: &str) {
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind_with_backlog(&server, 0).unwrap();
        let _first = T::connect(&server).unwrap();
        let late = T::unbound().unwrap();
        let connected = restarted(|| late.connect_to(&server), || drop(listener.accept().unwrap()));
        assert_eq!(connected, Ok(()));
        assert_eq!(late.put(b"x"), Ok(1));
        assert_eq!(listener.accept().unwrap().0.get(&mut [0]), Ok(1));
    });
}

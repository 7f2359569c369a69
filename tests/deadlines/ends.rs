//! Peers that are gone, and sides that are shut: with a deadline each call says what it says without.

use std::any::Any;
use std::fmt::Debug;
use std::thread;
use std::time::Duration;

use afunix::{Errno, Shutdown, UnixDatagram};

use crate::common::close;
use crate::common::kinds::{Connects, Data, Socket};
use crate::common::start_waiting;
use crate::ways::{Timed, far, fill, past, soon};

for_data!(
    each_end_is_told_as_without_a_deadline
    end_that_comes_while_a_receive_waits_is_told_as_without_a_deadline
    end_that_comes_while_a_send_waits_is_told_as_to_one_that_is_made_then
    no_send_raises_sigpipe
);
for_connecting!(connection_that_was_never_accepted_is_told_as_without_a_deadline);

/// A socket at some end, and what must stay open for it.
type End<T> = (T, Option<Box<dyn Any + Send>>);

fn keep<T: Send + 'static>(socket: T) -> Option<Box<dyn Any + Send>> {
    Some(Box::new(socket))
}

/// Makes one, with data queued at it or without.
type MakeEnd<T> = fn(bool) -> End<T>;

/// Ways for a socket to come to its end.
fn ends<T: Data + 'static>() -> Vec<(&'static str, MakeEnd<T>)> {
    fn pair<T: Data>(queued: bool) -> (T, T) {
        let (own, peer) = T::pair().unwrap();
        if queued {
            assert_eq!(peer.put(b"left"), Ok(4));
            assert_eq!(peer.put(b"over"), Ok(4));
        }
        (own, peer)
    }
    fn shut<T: Data + 'static>(queued: bool, own_side: bool, how: Shutdown) -> End<T> {
        let (own, peer) = pair::<T>(queued);
        if own_side {
            own.shutdown(how).unwrap()
        } else {
            peer.shutdown(how).unwrap()
        }
        (own, keep(peer))
    }
    vec![
        ("open", |queued| {
            let (own, peer) = pair::<T>(queued);
            (own, keep(peer))
        }),
        ("peer closed", |queued| (pair::<T>(queued).0, None)),
        ("peer closed with data unread", |queued| {
            let (own, peer) = pair::<T>(queued);
            assert_eq!(own.put(b"unread"), Ok(6));
            close(peer);
            (own, None)
        }),
        ("shut for reading", |queued| shut(queued, true, Shutdown::Read)),
        ("shut for writing", |queued| shut(queued, true, Shutdown::Write)),
        ("shut", |queued| shut(queued, true, Shutdown::Both)),
        ("peer shut for reading", |queued| shut(queued, false, Shutdown::Read)),
        ("peer shut for writing", |queued| shut(queued, false, Shutdown::Write)),
        ("peer shut", |queued| shut(queued, false, Shutdown::Both)),
        ("never connected", |_| (T::unbound().unwrap(), None)),
        ("never connected, shut for reading", |_| {
            let own = T::unbound().unwrap();
            own.shutdown(Shutdown::Read).unwrap();
            (own, None)
        }),
    ]
}

/// Does it in this order, and gives all that was said.
fn told<T>(
    socket: &T,
    sends_first: bool,
    get: impl Fn(&T, &mut [u8]) -> Result<usize, Errno>,
    put: impl Fn(&T, &[u8]) -> Result<usize, Errno>,
) -> Vec<Result<usize, Errno>> {
    let mut all = Vec::new();
    let sends = |all: &mut Vec<_>| (0..2).for_each(|_| all.push(put(socket, b"more")));
    if sends_first {
        sends(&mut all);
    }
    for _ in 0..4 {
        all.push(get(socket, &mut [0; 16]));
    }
    if !sends_first {
        sends(&mut all);
    }
    all
}

/// Long enough to be waited for.
const TINY: Duration = Duration::from_millis(1);

/// A blocking call with a limit, whose `EAGAIN` is `ETIMEDOUT` here.
fn limit(socket: &impl Data) {
    let time = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    let len = size_of::<libc::timeval>() as libc::socklen_t;
    // SAFETY: the kernel reads one `timeval`.
    let set = unsafe {
        let (fd, time) = (socket.as_raw_fd(), (&raw const time).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, time, len)
    };
    assert_eq!(set, 0);
}

fn in_vain_is_late(answer: Result<usize, Errno>) -> Result<usize, Errno> {
    answer.map_err(|error| if error == Errno::AGAIN { Errno::TIMEDOUT } else { error })
}

/// See "What is shut for reading looks as if there were something" in `kernel.md`.
fn each_end_is_told_as_without_a_deadline<T: Timed>(_: &str) {
    let (mut ended, mut late) = (0, 0);
    for (name, end) in ends::<T>() {
        for (queued, sends_first) in [(false, false), (false, true), (true, false), (true, true)] {
            let (socket, _peer) = end(queued);
            limit(&socket);
            let get = |socket: &T, buf: &mut [u8]| in_vain_is_late(socket.get(buf));
            let blocking = told(&socket, sends_first, get, T::put);
            ended += blocking.contains(&Ok(0)) as u32;
            late += blocking.contains(&Err(Errno::TIMEDOUT)) as u32;
            for (index, get) in T::GETS.iter().enumerate() {
                let put = T::PUTS[index % T::PUTS.len()];
                for nonblocking in [false, true] {
                    for wait in [false, true] {
                        let (socket, _peer) = end(queued);
                        socket.set_nonblocking(nonblocking).unwrap();
                        let deadline = move || {
                            if wait { afunix::Deadline::after(TINY).unwrap() } else { past() }
                        };
                        let get = |socket: &T, buf: &mut [u8]| get(socket, buf, deadline());
                        let put = |socket: &T, data: &[u8]| put(socket, data, deadline());
                        let timed = told(&socket, sends_first, get, put);
                        let state = (name, queued, sends_first, index, nonblocking, wait);
                        assert_eq!(timed, blocking, "{state:?}");
                    }
                }
            }
        }
    }
    assert!(ended >= 4 && late >= 4, "{ended} {late}");
}

fn connection_that_was_never_accepted_is_told_as_without_a_deadline<T>(_: &str)
where
    T: Connects + Timed,
{
    let end = || {
        let (listener, server) = T::Listener::autobind().unwrap();
        let client = T::connect(&server).unwrap();
        assert_eq!(client.put(b"unread"), Ok(6));
        close(listener);
        client
    };
    for sends_first in [false, true] {
        let blocking = told(&end(), sends_first, T::get, T::put);
        assert!(blocking.contains(&Err(Errno::CONNRESET)) || sends_first, "{blocking:?}");
        for (get, put) in T::GETS.iter().zip(T::PUTS) {
            let get = |socket: &T, buf: &mut [u8]| get(socket, buf, far());
            let put = |socket: &T, data: &[u8]| put(socket, data, far());
            assert_eq!(told(&end(), sends_first, get, put), blocking);
        }
    }
}

/// What happens to a socket whose call waits; `own` is that socket, `peer` the other one.
type Event<T> = fn(own: &T, peer: T) -> Option<T>;

/// Starts the call in a thread, has the event happen, and gives what the call said.
fn during<T: Timed, R: Debug + Send>(
    (own, peer): (T, T),
    event: Event<T>,
    call: impl FnOnce(&T) -> R + Send,
) -> R {
    thread::scope(|scope| {
        let waiting = start_waiting(scope, || call(&own));
        let _peer = event(&own, peer);
        waiting.join().unwrap()
    })
}

fn end_that_comes_while_a_receive_waits_is_told_as_without_a_deadline<T>(_: &str)
where
    T: Timed,
{
    let mut events: Vec<(bool, Event<T>)> = vec![
        (false, |own, peer| {
            own.shutdown(Shutdown::Read).unwrap();
            Some(peer)
        }),
        (false, |own, peer| {
            own.shutdown(Shutdown::Both).unwrap();
            Some(peer)
        }),
    ];
    // A datagram socket does not notice that its peer is gone, or shut.
    if T::TYPE != UnixDatagram::TYPE {
        events.push((false, |_, _| None));
        events.push((true, |_, _| None));
        events.push((false, |_, peer| {
            peer.shutdown(Shutdown::Write).unwrap();
            Some(peer)
        }));
    }
    for (unread, event) in events {
        let pair = || {
            let (own, peer) = T::pair().unwrap();
            assert!(!unread || own.put(b"unread") == Ok(6));
            (own, peer)
        };
        let blocking = during(pair(), event, |own| own.get(&mut [0; 8]));
        for get in T::GETS {
            assert_eq!(during(pair(), event, |own| get(own, &mut [0; 8], far())), blocking);
        }
    }
}

fn end_that_comes_while_a_send_waits_is_told_as_to_one_that_is_made_then<T: Timed>(_: &str) {
    let mut events: Vec<Event<T>> = vec![|_, _| None];
    // A datagram socket that has no deadline is not woken by the rest.
    if T::TYPE != UnixDatagram::TYPE {
        events.push(|_, peer| {
            peer.shutdown(Shutdown::Read).unwrap();
            Some(peer)
        });
        events.push(|own, peer| {
            own.shutdown(Shutdown::Write).unwrap();
            Some(peer)
        });
    }
    for event in events {
        let pair = || {
            let (own, peer) = T::pair().unwrap();
            fill(&own);
            (own, peer)
        };
        // Not as a stream's send that waits itself, which takes the `ECONNRESET` from the next receive.
        let (own, peer) = pair();
        let _peer = event(&own, peer);
        let then = own.put(b"more");
        for put in T::PUTS {
            assert_eq!(during(pair(), event, |own| put(own, b"more", far())), then);
        }
    }
}

fn no_send_raises_sigpipe<T: Timed>(test: &str) {
    crate::common::passes_in_child(test, || {
        // SAFETY: numbers alone. With this a `SIGPIPE` ends the process.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for put in T::PUTS {
            let (own, peer) = T::pair().unwrap();
            own.shutdown(Shutdown::Write).unwrap();
            assert_eq!(put(&own, b"more", soon()), Err(Errno::PIPE));
            close(peer);
        }
    });
}

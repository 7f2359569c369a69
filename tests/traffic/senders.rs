//! Datagrams and packets of many threads and processes: all arrive, each sender's in its order, and
//! who finds no room is told so or waits.

use std::fs::File;
use std::io::Read;
use std::os::fd::FromRawFd;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use afunix::{AsRawFd, Errno, IntoRawFd, UnixAddr, UnixDatagram, UnixSeqpacket};

use crate::common::kinds::Messages;
use crate::common::passes::Passes;
use crate::common::{Watchdog, open_fds, passes_in_child, start_waiting};
use crate::ledger::{Arrived, EACH, check, sees_what_is_wrong};
use crate::sender::{Plain, Role, Sender, given};

for_messages!(messages_of_many_senders_through_one_socket_all_arrive_in_the_order_of_each);

/// Half of them threads, half of them processes; of each half one waits for room and connects, one
/// does neither, and so on.
const SENDERS: u8 = 8;

fn role(number: u8, to: Option<UnixAddr>) -> Role {
    Role { number, waits: number & 1 == 0, connects: number & 2 == 0, to }
}

/// Receives one message, with what its descriptor leads to, or panics if there is none for long.
fn receive<T: Passes>(socket: &T) -> Arrived {
    let mut entry = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one structure, as the call is told.
    assert_eq!(unsafe { libc::poll(&raw mut entry, 1, 10_000) }, 1, "a message is missing");
    let mut buf = [0; 200];
    let (received, fds) = socket.recv_fds::<1>(&mut buf).unwrap();
    assert!(!received.is_truncated());
    let note = fds.into_iter().next().map(|fd| {
        // SAFETY: nobody else has it.
        let mut file = unsafe { File::from_raw_fd(fd.into_raw_fd()) };
        let mut note = Vec::new();
        file.read_to_end(&mut note).unwrap();
        note
    });
    Arrived { message: buf[..received.size].to_vec(), note }
}

/// Has all senders send to `receiver`, which looks at nothing before they found no room, and checks
/// what arrives. `socket` makes what each sends by; `shared` is what they all send by, if there is one.
fn check_senders<T: Passes>(
    test: &str,
    receiver: &T,
    to: Option<UnixAddr>,
    shared: Option<&T>,
    socket: impl Fn(Role) -> T,
    plain: Plain<T>,
) {
    let start = Instant::now();
    let mut processes: Vec<_> = Vec::new();
    let mut arrived = Vec::new();
    let refused: Vec<(Role, usize)> = thread::scope(|scope| {
        let thread = |number| {
            let role = role(number, to);
            Sender { socket: socket(role), role, plain }
        };
        // The first one waits, which is seen; so there is no room for the others.
        let first = thread(0);
        let waiting = start_waiting(scope, move || first.run(|| unreachable!("it waits")));
        let (full, refusals) = mpsc::channel();
        let mut threads = vec![(role(0, to), waiting)];
        for number in 1..SENDERS / 2 {
            let (sender, full) = (thread(number), full.clone());
            let role = sender.role;
            threads.push((role, scope.spawn(move || sender.run(|| full.send(()).unwrap()))));
        }
        processes.extend((SENDERS / 2..SENDERS).map(|number| role(number, to).start(test, shared)));
        // All that do not wait have been told so before anything is read.
        for (role, _) in &threads {
            if !role.waits {
                refusals.recv().unwrap();
            }
        }
        for process in &mut processes {
            if !process.role.waits {
                process.found_no_room();
            }
        }
        assert!(threads.iter().all(|(_, thread)| !thread.is_finished()));

        for _ in 0..u32::from(SENDERS) * EACH {
            arrived.push(receive(receiver));
        }
        threads.into_iter().map(|(role, thread)| (role, thread.join().unwrap())).collect()
    });
    let ended = processes.into_iter().map(|process| (process.role, process.ends()));
    for (role, refused) in refused.into_iter().chain(ended) {
        assert_eq!(refused > 0, !role.waits, "sender {}", role.number);
    }
    receiver.set_nonblocking(true).unwrap();
    assert_eq!(receiver.get(&mut [0]), Err(Errno::AGAIN), "more arrived than was sent");
    check(SENDERS, &arrived).unwrap();
    sees_what_is_wrong(SENDERS, &arrived);
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

/// [`check_senders`] alone in a process, which must have open at the end what it had before; that more
/// would be seen is checked too.
fn without_a_leak(test: &str, body: impl FnOnce()) {
    passes_in_child(test, || {
        let before = open_fds();
        body();
        assert_eq!(open_fds(), before);
        let kept = UnixSeqpacket::pair().unwrap();
        assert_ne!(open_fds(), before);
        drop(kept);
    });
}

/// See "How much is queued" in `kernel.md`: each has a socket of its own, and the receiver's queue
/// holds a few messages, whoever sends them.
#[test]
fn datagrams_of_many_sockets_all_arrive_in_the_order_of_each() {
    const TEST: &str = "senders::datagrams_of_many_sockets_all_arrive_in_the_order_of_each";
    let _watchdog = Watchdog::new();
    let plain: Plain<UnixDatagram> = |socket, message, to| match to {
        Some(to) => socket.send_to(message, to),
        None => socket.send(message),
    };
    let socket = |role: Role| {
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(!role.waits).unwrap();
        if role.connects {
            socket.connect(&role.to.unwrap()).unwrap();
        }
        socket
    };
    if let Some(role) = Role::of_this_process() {
        Sender { socket: socket(role), role, plain }.run_as_process();
    }
    without_a_leak(TEST, || {
        let (receiver, there) = UnixDatagram::autobind().unwrap();
        check_senders(TEST, &receiver, Some(there), None, socket, plain);
    });
}

/// See "Who answers has no queue limit" in `kernel.md`: one end of a pair, which all have, with a small
/// send buffer.
fn messages_of_many_senders_through_one_socket_all_arrive_in_the_order_of_each<T>(test: &str)
where
    T: Messages + Passes,
{
    let plain: Plain<T> = |socket, message, _| socket.send(message);
    if let Some(role) = Role::of_this_process() {
        Sender { socket: T::try_from(given()).unwrap(), role, plain }.run_as_process();
    }
    without_a_leak(test, || {
        let (a, b) = T::pair().unwrap();
        set_small_buffer(&a);
        let shared = |_| T::try_from(rustix::io::fcntl_dupfd_cloexec(&a, 0).unwrap()).unwrap();
        check_senders(test, &b, None, Some(&a), shared, plain);
    });
}

fn set_small_buffer(socket: &impl AsRawFd) {
    let size = 4096_i32;
    // SAFETY: the option's value is a C `int`, whose size is passed.
    let done = unsafe {
        let (fd, size) = (socket.as_raw_fd(), (&raw const size).cast());
        libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, size, 4)
    };
    assert_eq!(done, 0);
}

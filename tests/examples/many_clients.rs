//! `epoll_echo` and `tokio_echo`: many clients, slow ones, and descriptors.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use afunix::{AsFd, Errno, OwnedFd, SendError, UnixStream};

use crate::common::emulated::{CUT, GROWS, left_out_by_qemu};
use crate::common::{LONG, Watchdog, identity, passes_in_child, skip};
use crate::program::*;

const SERVERS: [&str; 2] = ["epoll_echo", "tokio_echo"];

/// Reads until there are as many bytes as in `wanted`, which they must be.
#[track_caller]
fn assert_comes(stream: &UnixStream, wanted: &[u8]) {
    let mut buf = vec![0; wanted.len()];
    let mut count = 0;
    while count < buf.len() {
        match stream.read(&mut buf[count..]).unwrap() {
            0 => panic!("the end after {count} of {} bytes", buf.len()),
            more => count += more,
        }
    }
    assert!(buf == wanted, "other bytes came back");
}

#[track_caller]
fn assert_echoes(stream: &UnixStream, bytes: &[u8]) {
    assert_eq!(stream.write(bytes), Ok(bytes.len()));
    assert_comes(stream, bytes);
}

/// How many descriptors a server has.
fn descriptors(server: &Running) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", server.id())).expect("procfs").count()
}

/// Lets a server have so many more than it has now.
fn limit_to(server: &Running, more: usize) {
    let path = format!("/proc/{}/fd/", server.id());
    // The limit is one of numbers, and there may be a gap.
    let is_free = |number: &u32| std::fs::symlink_metadata(format!("{path}{number}")).is_err();
    let first = (0..).filter(is_free).nth(more).expect("a free number");
    server.limit_descriptors(first.into());
}

/// Waits until it has so many: it closes them when it learns of the end.
#[track_caller]
fn assert_gets_to(server: &Running, wanted: usize) {
    let start = Instant::now();
    loop {
        let count = descriptors(server);
        if count == wanted {
            return;
        }
        assert!(start.elapsed() < LONG / 2, "{count} descriptors, not {wanted}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A field of `/proc/PID/stat` by its number in proc(5).
fn stat(pid: u32, field: usize) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("procfs");
    let (_, rest) = text.rsplit_once(") ").expect("a name in brackets");
    rest.split(' ').nth(field - 3).expect("a field").parse().expect("a number")
}

/// The time that a process has computed, in ticks.
fn ticks(pid: u32) -> u64 {
    stat(pid, 14) + stat(pid, 15)
}

/// By the side of a program that does spin, on whatever else this machine has to do.
#[track_caller]
fn assert_does_not_spin(server: &Running) {
    const TICKS: u64 = 30;
    let mut spinning = Command::new("sh");
    spinning.args(["-c", "while :; do :; done"]);
    let spinning = Running::spawn(spinning);
    let before = ticks(server.id());
    while ticks(spinning.id()) < TICKS {
        thread::sleep(Duration::from_millis(10));
    }
    let spent = ticks(server.id()) - before;
    assert!(spent < TICKS / 4, "{spent} ticks, where one that spins has {TICKS}");
}

/// The memory of a process, in bytes.
fn memory(pid: u32) -> u64 {
    // SAFETY: it takes a number.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    stat(pid, 24) * u64::try_from(page).expect("a size")
}

/// More than a thousand, which is all that `select` could.
fn echo_for(clients: usize, server: &str) {
    let (_dir, [path, _]) = names();
    let server = Running::server(server, &path, &[]);
    let (before, memory_before) = (descriptors(&server), memory(server.id()));
    let addr = parse(&path);
    let streams: Vec<_> = (0..clients).map(|_| UnixStream::connect(&addr).unwrap()).collect();
    let message = |number: usize| format!("client {number}\n").repeat(1 + number % 50);
    for (number, stream) in streams.iter().enumerate() {
        assert_eq!(stream.write(message(number).as_bytes()), Ok(message(number).len()));
    }
    for (number, stream) in streams.iter().enumerate() {
        assert_comes(stream, message(number).as_bytes());
    }
    // Each is still there.
    assert_eq!(descriptors(&server), before + clients);
    // A buffer for each: so it can be told how the server grows.
    assert!(memory(server.id()) - memory_before > clients as u64 * 1024);
    // Some by halves, which have their answer still; all others at once.
    for (number, stream) in streams.iter().enumerate().filter(|(number, _)| number % 7 == 0) {
        stream.write(message(number).as_bytes()).unwrap();
        stream.shutdown(afunix::Shutdown::Write).unwrap();
        assert_comes(stream, message(number).as_bytes());
        assert_eq!(stream.read(&mut [0]), Ok(0));
    }
    drop(streams);
    assert_gets_to(&server, before);
}

fn many(test: &str, server: &str) {
    const CLIENTS: usize = 2_500;
    passes_in_child(test, || {
        let _watchdog = Watchdog::new();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: one limit to write, then one to read.
        unsafe {
            assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit), 0);
            limit.rlim_cur = CLIENTS as libc::rlim_t + 100;
            limit.rlim_max = limit.rlim_max.max(limit.rlim_cur);
            // The server has it from here.
            if libc::setrlimit(libc::RLIMIT_NOFILE, &limit) != 0 {
                return skip(format_args!(
                    "no {} descriptors: {}",
                    limit.rlim_cur,
                    words(libc::EPERM)
                ));
            }
        }
        echo_for(CLIENTS, server);
    });
}

#[test]
fn epoll_echo_serves_thousands_at_once() {
    many("many_clients::epoll_echo_serves_thousands_at_once", "epoll_echo");
}

#[test]
fn tokio_echo_serves_thousands_at_once() {
    many("many_clients::tokio_echo_serves_thousands_at_once", "tokio_echo");
}

#[test]
fn they_end_after_their_last_client() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, abstract_name]) = names();
        for addr in [&path, &abstract_name] {
            let server = Running::server(name, addr, &["--connections", "3"]);
            // One that stays to the end, and two that come and go.
            let first = UnixStream::connect(&parse(addr)).unwrap();
            assert_echoes(&first, b"first");
            for word in ["one", "two"] {
                assert_eq!(lines(&run("echo_client", &[addr, word])), [word]);
            }
            assert_echoes(&first, b"still here");
            drop(first);
            assert_eq!(server.end(), [""; 0]);
            assert!(!std::path::Path::new(addr).exists());
        }
    }
}

#[test]
fn they_give_back_every_byte() {
    let bytes: Vec<u8> =
        (0..5_000_000_u32).map(|i| i.wrapping_mul(0x9e37_79b9).to_be_bytes()[0]).collect();
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &["--connections", "1"]);
        let output = run_with("echo_client", &[&path], &bytes);
        crate::common::assert_success(&output);
        assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
        assert_eq!(server.end(), [""; 0]);
    }
}

fn file() -> OwnedFd {
    UnixStream::unbound().unwrap().into()
}

#[test]
fn they_give_back_descriptors_with_the_bytes_they_came_with() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let mut server = Running::server(name, &path, &[]);
        let before = descriptors(&server);
        let stream = UnixStream::connect(&parse(&path)).unwrap();
        for count in [1, 2, 16, 0, 3] {
            let files: Vec<_> = (0..count).map(|_| file()).collect();
            let lent: Vec<_> = files.iter().map(|file| file.as_fd()).collect();
            // Bytes before them, with them, and after them. The server is held meanwhile, so that it
            // receives the first two at once: the descriptors stay with the second.
            server.signal(libc::SIGSTOP);
            stream.write(b"before ").unwrap();
            stream.send_fds(b"with ", &lent).unwrap();
            stream.write(b"after").unwrap();
            server.signal(libc::SIGCONT);
            let (mut bytes, mut back) = (Vec::new(), Vec::new());
            while bytes.len() < 17 {
                let mut buf = [0; 5];
                let (received, fds) = stream.recv_fds::<32>(&mut buf).unwrap();
                bytes.extend_from_slice(&buf[..received.bytes]);
                if !fds.is_empty() {
                    let at = bytes.len();
                    assert!((8..=12).contains(&at), "they came with byte {at}");
                }
                back.extend(fds);
            }
            assert_eq!(bytes, b"before with after");
            let inodes = |fds: &[OwnedFd]| fds.iter().map(|fd| identity(fd).1).collect::<Vec<_>>();
            assert_eq!(inodes(&back), inodes(&files));
            // The server keeps none.
            assert_gets_to(&server, before + 1);
        }
        drop(stream);
        assert_gets_to(&server, before);
    }
}

#[test]
fn they_end_a_client_with_more_descriptors_than_they_take() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &[]);
        let before = descriptors(&server);
        let file = file();
        for (count, why) in [
            (17, "more than 16 descriptors at once"),
            (200, "control messages were lost: the control buffer was too small"),
        ] {
            let stream = UnixStream::connect(&parse(&path)).unwrap();
            stream.send_fds(b"x", &vec![file.as_fd(); count]).unwrap();
            // Without what was sent, or with an error as something was left unread: the end.
            assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(Errno::CONNRESET)));
            let line = server.line();
            assert!(line.starts_with("client ") && line.contains(why), "{line}");
            if count == 17 || !left_out_by_qemu(CUT) {
                assert_gets_to(&server, before);
            }
        }
        // Others are served.
        assert_echoes(&UnixStream::connect(&parse(&path)).unwrap(), b"next");
    }
}

/// What the server could not send is not read, so it stays in the client's own queue.
#[test]
fn a_client_that_does_not_read_harms_nobody() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &[]);
        let other = UnixStream::connect(&parse(&path)).unwrap();
        assert_echoes(&other, b"warm");
        let (fds_before, memory_before) = (descriptors(&server), memory(server.id()));

        let lazy = UnixStream::connect(&parse(&path)).unwrap();
        lazy.set_nonblocking(true).unwrap();
        let file = file();
        let block: Vec<u8> = (0..10_000_u32).map(|i| i.wrapping_mul(7).to_le_bytes()[0]).collect();
        let (mut sent, mut with, mut full) = (Vec::new(), 0, 0);
        // Until nothing has gone for a while: both queues are full, and the server's buffer.
        while full < 20 {
            match lazy.send_fds(&block, &[file.as_fd(), file.as_fd()]) {
                Ok(part) => {
                    sent.extend_from_slice(&block[..part.bytes]);
                    (with, full) = (with + 2, 0);
                }
                Err(SendError::Kernel(Errno::AGAIN)) => {
                    full += 1;
                    assert_echoes(&other, b"meanwhile");
                    thread::sleep(Duration::from_millis(10));
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(sent.len() > 100_000 && with > 20, "{} bytes, {with} descriptors", sent.len());
        // At most what waits for this one client: its own socket, and what is not sent yet.
        let more = descriptors(&server) - fds_before;
        assert!((1..=3).contains(&more), "{more} descriptors more");
        let grown = memory(server.id()).saturating_sub(memory_before);
        let is_small = grown < 512 * 1024;
        assert!(is_small || left_out_by_qemu(GROWS), "the server has grown by {grown} bytes");

        // That there is more to be read, and then an end, is no news while it cannot be sent.
        assert_does_not_spin(&server);
        lazy.shutdown(afunix::Shutdown::Write).unwrap();
        assert_does_not_spin(&server);

        // It has all of it even so, each descriptor once.
        lazy.set_nonblocking(false).unwrap();
        let (mut back, mut came) = (Vec::new(), 0);
        let mut buf = vec![0; 3_000];
        loop {
            let (received, fds) = lazy.recv_fds::<8>(&mut buf).unwrap();
            came += fds.len();
            if received.bytes == 0 {
                break;
            }
            back.extend_from_slice(&buf[..received.bytes]);
        }
        assert!(back == sent, "{} of {} bytes", back.len(), sent.len());
        assert_eq!(came, with);
        assert_gets_to(&server, fds_before);
    }
}

/// A client that leaves with all it sent unread, and others at any moment.
#[test]
fn they_outlive_clients_that_leave() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &[]);
        let before = descriptors(&server);
        let file = file();
        for round in 0..300 {
            let stream = UnixStream::connect(&parse(&path)).unwrap();
            if round % 3 > 0 {
                stream.send_fds(&vec![7; round * 40], &[file.as_fd()]).map(drop).unwrap_or(());
            }
            if round % 3 > 1 {
                stream.read(&mut [0]).unwrap();
            }
        }
        assert_gets_to(&server, before);
        assert_echoes(&UnixStream::connect(&parse(&path)).unwrap(), b"still here");
    }
}

#[test]
fn without_a_descriptor_they_wait_and_do_not_spin() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &[]);
        limit_to(&server, 4);
        let mut clients: Vec<_> =
            (0..8).map(|_| UnixStream::connect(&parse(&path)).unwrap()).collect();
        assert_eq!(server.line(), "no descriptor left: 4 clients");

        assert_does_not_spin(&server);

        // Those that have a place are served, and the next as soon as one of them leaves.
        for _ in 0..4 {
            assert_echoes(&clients[0], b"here");
            clients.remove(0);
        }
        for client in &clients {
            assert_echoes(client, b"at last");
        }
    }
}

/// Descriptors that came for a full table are closed by the kernel: that client ends, and says so.
#[test]
fn without_a_descriptor_they_refuse_descriptors() {
    for name in SERVERS {
        let _watchdog = Watchdog::new();
        let (_dir, [path, _]) = names();
        let server = Running::server(name, &path, &[]);
        let stream = UnixStream::connect(&parse(&path)).unwrap();
        assert_echoes(&stream, b"here");
        limit_to(&server, 0);
        let file = file();
        stream.send_fds(b"x", &[file.as_fd()]).unwrap();
        assert!(matches!(stream.read(&mut [0]), Ok(0) | Err(Errno::CONNRESET)));
        let line = server.line();
        assert!(
            line.starts_with("client 1: ") && line.contains("control messages were lost"),
            "{line}"
        );
        assert_echoes(&UnixStream::connect(&parse(&path)).unwrap(), b"next");
    }
}

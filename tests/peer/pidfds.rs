//! A handle to the process at the other end.

use afunix::{AsRawFd, Errno, Pid, PidFd, UnixListener};

use crate::asks::{Asks, Meets, numbers};
use crate::common::emulated::{NUMBER, left_out_by_qemu};
use crate::common::kinds::{Listens, Socket};
use crate::common::{is_root, name, open_fds, passes_in_child, skip};
use crate::plain::{fork, fork_code, is_close_on_exec, last_errno, poll};
use crate::processes::Child;

for_data!(pidfd_of_a_pair_is_who_made_it);
for_connecting!(
    pidfd_follows_a_peer_through_its_end
    listener_has_a_pidfd_of_who_listened
    pidfd_of_a_peer_that_is_gone_tells_how_it_ended
);

/// Asks whether the process could be sent a signal.
fn signal(pidfd: &PidFd) -> Result<(), Errno> {
    let no_info = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: numbers alone, and one null pointer that means nothing.
    let done =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, no_info, 0) };
    if done == 0 { Ok(()) } else { Err(last_errno()) }
}

/// The number of the process, as `/proc` tells it of the descriptor; -1 if there is none any more.
pub fn pid_of(pidfd: &PidFd) -> i32 {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()));
    let info = info.unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:\t")).expect("a pid");
    pid.parse().unwrap()
}

#[track_caller]
fn is_alive(pidfd: &PidFd, pid: u32) {
    assert!(is_close_on_exec(pidfd));
    assert_eq!((poll(pidfd), pid_of(pidfd)), (0, pid.cast_signed()));
    if is_root() {
        assert_eq!(signal(pidfd), Ok(()));
    }
}

/// See "The pidfd of a peer stays that of the peer" in `kernel.md`.
fn pidfd_of_a_pair_is_who_made_it<T: Asks>(test: &str) {
    passes_in_child(test, || {
        let (a, b) = T::pair().unwrap();
        let creator = std::process::id();
        let before = open_fds();
        for socket in [&a, &b] {
            let pidfds = [(); 2].map(|()| socket.peer_pidfd().unwrap());
            pidfds.iter().for_each(|pidfd| is_alive(pidfd, creator));
            assert_ne!(pidfds[0].as_raw_fd(), pidfds[1].as_raw_fd());
            let peer = socket.peer().unwrap();
            is_alive(&peer.pidfd, creator);
            assert_eq!(peer.credentials, socket.peer_credentials().unwrap());
            let said = format!("{peer:?}");
            assert!(said.contains("credentials") && said.contains("pidfd"), "{said}");
        }
        assert_eq!(open_fds(), before);
        // It is of the creator in its children, too.
        fork(|| assert_eq!(pid_of(&a.peer_pidfd().unwrap()), creator.cast_signed()));
        // Who takes it away as a number closes it.
        let raw = afunix::IntoRawFd::into_raw_fd(a.peer_pidfd().unwrap());
        assert_eq!(open_fds().len(), before.len() + 1);
        // SAFETY: nobody else closes it.
        assert_eq!(unsafe { libc::close(raw) }, 0);
        assert_eq!(open_fds(), before);
    });
}

/// See "The pidfd of a peer stays that of the peer" in `kernel.md`.
fn pidfd_follows_a_peer_through_its_end<T: Meets>(test: &str) {
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::unbound().unwrap();
        let child = Child::start(|| client.connect_to(&server).unwrap());
        let pid = child.pid();
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!(peer.pid, Pid::from_raw(pid.cast_signed()));
        let early = connection.peer_pidfd().unwrap();
        is_alive(&early, pid);

        child.end();
        let at_end = connection.peer_pidfd().unwrap();
        for zombie in [&early, &at_end] {
            assert_eq!((poll(zombie), pid_of(zombie)), (libc::POLLIN, pid.cast_signed()));
        }

        child.reap();
        let late = match connection.peer_pidfd() {
            Err(error) if [Errno::INVAL, Errno::SRCH].contains(&error.errno()) => {
                return skip("before Linux 6.16 there is no pidfd of who was waited for");
            }
            late => late.unwrap(),
        };
        let both = connection.peer().unwrap();
        assert_eq!(numbers(both.credentials)[0], pid);
        for gone in [&early, &at_end, &late, &both.pidfd] {
            assert!(is_close_on_exec(gone));
            assert_eq!((poll(gone) & libc::POLLIN, pid_of(gone)), (libc::POLLIN, -1));
            assert_eq!(signal(gone), Err(Errno::SRCH));
        }
    });
}

/// See "A server is who listened, a client who connected" in `kernel.md`.
fn listener_has_a_pidfd_of_who_listened<T: Meets>(test: &str) {
    passes_in_child(test, || {
        let listener = T::Listener::fresh();
        is_alive(&afunix::peer_pidfd(&listener).unwrap(), std::process::id());
        let client = T::connect(&listener.local_addr().unwrap()).unwrap();
        is_alive(&client.peer_pidfd().unwrap(), std::process::id());
        fork(|| listener.listen(3).unwrap());
        let gone = afunix::peer_pidfd(&listener).unwrap();
        assert_eq!((poll(&gone) & libc::POLLIN, pid_of(&gone)), (libc::POLLIN, -1));
        // Who connected before that keeps the server that it had.
        is_alive(&client.peer_pidfd().unwrap(), std::process::id());
    });
}

/// The kernel's `struct pidfd_info`, as it was first.
#[derive(Default)]
#[repr(C)]
struct Info {
    mask: u64,
    cgroup: u64,
    /// pid, tgid, ppid, and the real, effective, saved and file system's ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// See "The pidfd of a peer stays that of the peer" in `kernel.md`.
fn pidfd_of_a_peer_that_is_gone_tells_how_it_ended<T: Meets>(test: &str) {
    const EXIT: u64 = 1 << 3;
    // `PIDFD_GET_INFO`: _IOWR(0xff, 11, struct pidfd_info).
    let get_info = 3 << 30 | u32::try_from(size_of::<Info>()).unwrap() << 16 | 0xff << 8 | 11;
    passes_in_child(test, || {
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let (_, code) = fork_code(|| {
            T::connect(&server).unwrap();
            42
        });
        let (connection, _, _) = T::accept_peer(&listener).unwrap();
        let Ok(pidfd) = connection.peer_pidfd() else {
            return skip("before Linux 6.16 there is no pidfd of who was waited for");
        };
        if left_out_by_qemu(NUMBER) {
            return;
        }
        let mut info = Info { mask: EXIT, ..Info::default() };
        // The number's type differs from one libc to the next.
        #[allow(clippy::cast_possible_wrap, clippy::unnecessary_cast)]
        let number = get_info as libc::Ioctl;
        // SAFETY: the structure is as long as the number says.
        let done = unsafe { libc::ioctl(pidfd.as_raw_fd(), number, &raw mut info) };
        assert_eq!((done, info.mask & EXIT), (0, EXIT), "{}", last_errno());
        assert_eq!((code, libc::WEXITSTATUS(info.exit_code)), (42, 42));
    });
}

/// It is a handle for rustix too, and a descriptor.
#[test]
fn pidfd_is_lent_and_given_away_as_a_descriptor() {
    let _watchdog = crate::common::Watchdog::new();
    let (listener, addr) = UnixListener::autobind().unwrap();
    let client = afunix::UnixStream::connect(&addr).unwrap();
    let pidfd = client.peer_pidfd().unwrap();
    assert_eq!(rustix::process::pidfd_send_signal(&pidfd, rustix::process::Signal::CONT), Ok(()));
    let number = pidfd.as_raw_fd();
    let fd: afunix::OwnedFd = pidfd.into();
    assert_eq!(fd.as_raw_fd(), number);
    drop(listener);
}

//! Peers in other namespaces: of pids, and of users.

use std::fs;

use afunix::{Gid, PeerCredentials, Pid, Uid};

use crate::asks::{Asks, Meets, numbers, told};
use crate::common::emulated::{THREAD, left_out_by_qemu};
use crate::common::kinds::Socket;
use crate::common::{is_root, name, passes_in_child, skip};
use crate::plain::{fork, fork_code, last_errno, pipe, poll};
use crate::processes::{become_others, set_groups};

for_data!(
    peer_outside_the_pid_namespace_has_no_pid_and_its_own_ids
    peer_outside_the_user_namespace_is_nobody
    user_that_is_root_in_the_user_namespace_is_root_there
);
for_connecting!(
    peer_inside_another_pid_namespace_has_the_pid_that_it_has_here
    peer_outside_the_pid_namespace_is_watched_by_its_pidfd
);

fn unshare(flags: i32) -> bool {
    // SAFETY: a number alone.
    unsafe { libc::unshare(flags) == 0 }
}

/// Whether a process of this user, with one thread, may have such a namespace of its own.
fn may_unshare(flags: i32) -> bool {
    fork_code(|| i32::from(!unshare(flags))).1 == 0
}

/// Runs `body` as the first process of a new pid namespace, which sees nobody that is outside.
fn in_pid_namespace(body: impl FnOnce()) {
    fork(|| {
        assert!(unshare(libc::CLONE_NEWPID));
        fork(|| {
            assert_eq!(std::process::id(), 1);
            body();
        });
    });
}

#[track_caller]
fn is_no_process(peer: PeerCredentials) {
    assert_eq!(peer.pid, None);
    for pid in [1, 2, i32::MAX] {
        assert!(peer.require_process(Pid::from_raw(pid).unwrap()).is_err());
    }
}

/// See "A peer from elsewhere has no number" in `kernel.md`.
fn peer_outside_the_pid_namespace_has_no_pid_and_its_own_ids<T: Asks>(test: &str) {
    passes_in_child(test, || {
        if !is_root() || !may_unshare(libc::CLONE_NEWPID) {
            return skip("a new pid namespace takes privilege");
        }
        // Root's are three zeros.
        for id in [0, 1000, 65525] {
            // SAFETY: numbers alone.
            unsafe {
                assert_eq!((libc::setegid(id), libc::seteuid(id)), (0, 0));
            }
            let (a, b) = T::pair().unwrap();
            // SAFETY: as above.
            unsafe {
                assert_eq!((libc::seteuid(0), libc::setegid(0)), (0, 0));
            }
            in_pid_namespace(|| {
                assert_eq!(told(&b), [0, id, id]);
                let peer = b.peer_credentials().unwrap();
                assert_eq!(numbers(peer), [0, id, id]);
                is_no_process(peer);
                assert_eq!(peer.to_string(), format!("unknown pid, euid {id}, egid {id}"));
                // Its ids are true.
                peer.require_user(Uid::from_raw(id)).unwrap();
                peer.require_group(Gid::from_raw(id), &[]).unwrap();
                assert_eq!(peer.require_root().is_ok(), id == 0);
                assert_eq!(peer.require_same_user().is_ok(), id == 0);
                // The handle to the process is not hindered by that.
                let both = b.peer().unwrap();
                assert_eq!((both.credentials, poll(&both.pidfd)), (peer, 0));
            });
            assert_eq!(numbers(a.peer_credentials().unwrap()), [std::process::id(), id, id]);
        }
    });
}

/// See "A peer from elsewhere has no number" in `kernel.md`.
fn peer_inside_another_pid_namespace_has_the_pid_that_it_has_here<T: Meets>(test: &str) {
    passes_in_child(test, || {
        if !may_unshare(libc::CLONE_NEWPID) {
            return skip("a new pid namespace takes privilege");
        }
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let (read, write) = pipe();
        in_pid_namespace(|| {
            let client = T::connect(&server).unwrap();
            // There is no number for the server in there.
            is_no_process(client.peer_credentials().unwrap());
            // `/proc` is still the one outside.
            let outside = fs::read_link("/proc/self").unwrap();
            let outside = outside.to_str().unwrap().as_bytes().to_vec();
            assert_eq!(rustix::io::write(&write, &outside), Ok(outside.len()));
        });
        let mut buf = [0; 32];
        let len = rustix::io::read(&read, &mut buf).unwrap();
        let outside: u32 = std::str::from_utf8(&buf[..len]).unwrap().parse().unwrap();
        assert_ne!(outside, 1);
        let (connection, _, peer) = T::accept_peer(&listener).unwrap();
        assert_eq!((numbers(peer)[0], told(&connection)[0]), (outside, outside));
    });
}

/// See "The pidfd of a peer stays that of the peer" in `kernel.md`.
fn peer_outside_the_pid_namespace_is_watched_by_its_pidfd<T: Meets>(test: &str) {
    use crate::processes::Child;
    passes_in_child(test, || {
        if !may_unshare(libc::CLONE_NEWPID) {
            return skip("a new pid namespace takes privilege");
        }
        let server = name("server");
        let listener = T::Listener::bind(&server).unwrap();
        let client = T::unbound().unwrap();
        let child = Child::start(|| client.connect_to(&server).unwrap());
        let (connection, _, _) = T::accept_peer(&listener).unwrap();
        let (ready, told_ready) = pipe();
        let (go, told_to_go) = pipe();
        std::thread::scope(|scope| {
            let watching = scope.spawn(|| {
                in_pid_namespace(|| {
                    let peer = connection.peer().unwrap();
                    assert_eq!((peer.credentials.pid, poll(&peer.pidfd)), (None, 0));
                    rustix::io::write(&told_ready, b"r").unwrap();
                    rustix::io::read(&go, &mut [0; 1]).unwrap();
                    assert_eq!(poll(&peer.pidfd) & libc::POLLIN, libc::POLLIN);
                    // It is there for who asks only now.
                    let late = connection.peer_pidfd().unwrap();
                    assert_eq!(poll(&late) & libc::POLLIN, libc::POLLIN);
                });
            });
            rustix::io::read(&ready, &mut [0; 1]).unwrap();
            child.end();
            rustix::io::write(&told_to_go, b"g").unwrap();
            watching.join().unwrap();
        });
        child.reap();
    });
}

/// See "A peer from elsewhere has no number" in `kernel.md`.
fn peer_outside_the_user_namespace_is_nobody<T: Asks>(test: &str) {
    if left_out_by_qemu(THREAD) {
        return;
    }
    passes_in_child(test, || {
        if !may_unshare(libc::CLONE_NEWUSER) {
            return skip("this user may have no user namespace");
        }
        if is_root() {
            set_groups(&[20, 21]);
        }
        let (a, _b) = T::pair().unwrap();
        let pid = std::process::id();
        let outside = a.peer_credentials().unwrap();
        outside.require_same_user().unwrap();
        fork(|| {
            // No user has a number in it yet: nor has this process.
            assert!(unshare(libc::CLONE_NEWUSER));
            assert_eq!(told(&a), [pid, 65534, 65534]);
            let peer = a.peer_credentials().unwrap();
            assert_eq!(numbers(peer), [pid, 65534, 65534]);
            // SAFETY: it cannot fail.
            assert_eq!(unsafe { libc::geteuid() }, 65534);
            assert!(peer.require_same_user().is_err());
            assert!(peer.require_root().is_err());
            assert!(peer.require_user(Uid::from_raw(65534)).is_err());
            let mut buf = [Gid::ROOT; 1024];
            let groups = a.peer_groups(&mut buf).unwrap();
            assert!(groups.iter().all(|group| group.as_raw() == 65534));
            assert!(!is_root() || groups.len() == 2);
            for group in [0, 20, 21, 65534] {
                assert!(peer.require_group(Gid::from_raw(group), groups).is_err());
            }
            // The number is the same: it is the same pid namespace.
            peer.require_process(outside.pid.unwrap()).unwrap();
        });
        assert_eq!(a.peer_credentials(), Ok(outside));
    });
}

/// Whoever is mapped has the number that it is mapped to; root of outside, if not mapped, is nobody.
fn user_that_is_root_in_the_user_namespace_is_root_there<T: Asks>(test: &str) {
    if left_out_by_qemu(THREAD) {
        return;
    }
    passes_in_child(test, || {
        if !is_root() || !may_unshare(libc::CLONE_NEWUSER) {
            return skip("only root may map another user");
        }
        let (of_root, _other) = T::pair().unwrap();
        fork(|| {
            become_others([1000; 3], [1000; 3]);
            // Its own files in `/proc` are its own again.
            // SAFETY: numbers alone.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }, 0);
            let (a, _b) = T::pair().unwrap();
            assert!(a.peer_credentials().unwrap().require_root().is_err());
            assert!(unshare(libc::CLONE_NEWUSER));
            fs::write("/proc/self/setgroups", "deny").unwrap();
            fs::write("/proc/self/uid_map", "0 1000 1").unwrap();
            fs::write("/proc/self/gid_map", "0 1000 1").unwrap();
            // SAFETY: they cannot fail.
            assert_eq!(unsafe { (libc::geteuid(), libc::getegid()) }, (0, 0), "{}", last_errno());
            let peer = a.peer_credentials().unwrap();
            assert_eq!(numbers(peer), [std::process::id(), 0, 0]);
            peer.require_root().unwrap();
            peer.require_same_user().unwrap();
            assert!(peer.require_user(Uid::from_raw(1000)).is_err());
            let root = of_root.peer_credentials().unwrap();
            assert_eq!(numbers(root)[1..], [65534, 65534]);
            assert!(root.require_root().is_err());
        });
    });
}

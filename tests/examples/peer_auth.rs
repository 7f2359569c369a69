//! `peer_auth`, with clients and servers who are not who they should be.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use afunix::{Errno, UnixSeqpacket, UnixSeqpacketListener};

#[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
use crate::common::emulated::FILTER;
use crate::common::emulated::{LENGTHS, left_out_by_qemu, program};
use crate::common::{Nobody, TempDir, Watchdog, finish, is_root, passes_in_child, skip, spawn};
use crate::program::*;

/// Ids that no system gives to anybody.
const UID: u32 = 61_301;
const GID: u32 = 61_302;
const GROUP: u32 = 61_303;

/// This process's effective ids.
fn ids() -> (u32, u32) {
    // SAFETY: they cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// A copy of an example that other users can start, wherever this folder is.
fn for_all(dir: &TempDir, name: &str) -> PathBuf {
    let copy = dir.join(name);
    std::fs::copy(file(name), &copy).unwrap();
    copy
}

/// The rest of what the process does is done as somebody else.
fn drop_to(command: &mut Command, uid: u32, gid: u32, groups: &'static [u32]) {
    // SAFETY: the closure makes system calls alone, and the pointer is to so many groups.
    unsafe {
        command.pre_exec(move || {
            let failed = libc::setgroups(groups.len(), groups.as_ptr()) != 0
                || libc::setgid(gid) != 0
                || libc::setuid(uid) != 0;
            if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

/// Starts a client and gives it something to send.
fn start(mut client: Command, addr: &str) -> Child {
    use std::io::Write;
    client.args([addr, "--send"]);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(&mut client).unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"my secret\n").unwrap();
    child
}

fn sent(client: Command, addr: &str) -> Output {
    finish(start(client, addr))
}

#[test]
fn peer_auth_serves_the_same_user() {
    let (_dir, addrs) = names();
    let (uid, gid) = ids();
    if uid == 65_534 {
        return skip("this user may be anybody");
    }
    for addr in addrs {
        let server = Running::server("peer_auth", &addr, &["--clients", "2"]);
        let server_pid = server.id();
        for count in 1..=2 {
            let client = start(example("peer_auth"), &addr);
            let pid = client.id();
            assert_eq!(
                lines(&finish(client)),
                [format!(
                    "the server, pid {server_pid}, euid {uid}, egid {gid}, says: received 9 bytes"
                )]
            );
            let line = server.line();
            let start = format!("client {count}: pid {pid}, euid {uid}, egid {gid}, ");
            let program = between(&line, &start, ": served, the same user");
            if UnixSeqpacket::pair().unwrap().0.peer_pidfd().is_ok() {
                assert_eq!(program, format!("program {}", process_name("peer_auth")));
            }
            assert_eq!(server.line(), format!("client {count}: 9 bytes received"));
        }
        assert_eq!(server.end(), [""; 0]);
        assert!(!std::path::Path::new(&addr).exists());
    }
}

#[test]
fn peer_auth_refuses_an_impostor_and_serves_members() {
    if !is_root() {
        return skip("only root can start others as somebody else");
    }
    let (dir, addrs) = names();
    let copy = for_all(&dir, "peer_auth");
    let (uid, gid) = ids();
    let group = GROUP.to_string();
    for addr in addrs {
        let server = Running::server("peer_auth", &addr, &["--group", &group, "--clients", "4"]);
        let client = |uid, gid, groups| {
            let mut command = program(&copy);
            drop_to(&mut command, uid, gid, groups);
            // It trusts root, which this server is.
            command.arg(&addr).args(["--send", "--root"]);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = spawn(&mut command).unwrap();
            let mut input = child.stdin.take().unwrap();
            std::io::Write::write_all(&mut input, b"my secret\n").unwrap();
            drop(input);
            let pid = child.id();
            (pid, finish(child))
        };

        // Neither the user nor the group; and one with many groups, but not that one.
        static MANY: [u32; 200] = [GROUP + 1; 200];
        let many = if left_out_by_qemu(LENGTHS) { 1 } else { MANY.len() };
        for (count, groups) in [(1, &[][..]), (2, &MANY[..many])] {
            let (pid, output) = client(UID, GID, groups);
            let refusal = format!(
                "refused, wanted uid {uid} or gid {GROUP}, found pid {pid}, euid {UID}, egid {GID}"
            );
            let told = refusal.replace("refused, ", "refused: ");
            let complained = complaint(&output);
            assert_eq!(complained, format!("peer_auth: the server says: {told}\n"));
            let line = server.line();
            let start = format!("client {count}: pid {pid}, euid {UID}, egid {GID}, ");
            assert!(line.starts_with(&start), "{line}");
            assert!(line.ends_with(&format!(": {refusal}")), "{line}");
        }

        // The group as the effective one, and at the end of more than the server had room for.
        static LAST: [u32; 200] = {
            let mut groups = [GROUP + 1; 200];
            groups[199] = GROUP;
            groups
        };
        for (count, gid_of, groups) in [(3, GROUP, &[][..]), (4, GID, &LAST[LAST.len() - many..])] {
            let (pid, output) = client(UID, gid_of, groups);
            let server_pid = server.id();
            assert_eq!(
                lines(&output),
                [format!(
                    "the server, pid {server_pid}, euid {uid}, egid {gid}, says: received 9 bytes"
                )]
            );
            let line = server.line();
            let start = format!("client {count}: pid {pid}, euid {UID}, egid {gid_of}, ");
            between(&line, &start, ": served, a member of a group");
            assert_eq!(server.line(), format!("client {count}: 9 bytes received"));
        }
        assert_eq!(server.end(), [""; 0]);
    }
}

/// The socket file of a server without groups is its own user's, and the kernel lets nobody else in.
#[test]
fn peer_auth_opens_its_file_only_for_groups() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, [path, _]) = names();
    for (options, open) in [(&[][..], false), (&["--group", "61303"], true)] {
        let mut server = Running::server("peer_auth", &path, options);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        // Without, it is as the umask has it, which takes from 0777.
        assert_eq!(mode & 0o777 == 0o666, open, "{mode:o}");
        server.signal(libc::SIGTERM);
        assert_eq!(server.end(), ["interrupted"]);
    }
}

/// The client looks before it sends: what listens there may be anybody.
#[test]
fn peer_auth_sends_nothing_to_an_impostor() {
    if !is_root() {
        return skip("only root can listen as somebody else");
    }
    build_examples();
    passes_in_child("peer_auth::peer_auth_sends_nothing_to_an_impostor", || {
        let _watchdog = Watchdog::new();
        let (_dir, [_, name]) = names();
        let listener = {
            let _nobody = Nobody::new();
            UnixSeqpacketListener::bind(&parse(&name)).unwrap()
        };
        for options in [&[][..], &["--root"]] {
            let output = run_with(
                "peer_auth",
                &[&[name.as_str(), "--send"], options].concat(),
                b"my secret",
            );
            let pid = std::process::id();
            let nobody = Nobody::UID;
            let wanted = format!(
                "peer_auth: {name} is another's: wanted uid 0, found pid {pid}, uid {nobody}, "
            );
            let seen = complaint(&output);
            assert!(seen.starts_with(&wanted), "{seen}");
            assert!(seen.ends_with("; nothing was sent\n"), "{seen}");
            // It was there, and left without a word.
            let (client, _) = listener.accept().unwrap();
            assert_eq!(client.recv(&mut [0; 16]).unwrap().size, 0);
        }
        // Root listens again, and is told the secret: so the line above could have failed.
        listener.listen(1).unwrap();
        let child = start(example("peer_auth"), &name);
        let (client, _) = listener.accept().unwrap();
        client.send(b"welcome").unwrap();
        let mut buf = [0; 16];
        let received = client.recv(&mut buf).unwrap();
        assert_eq!(&buf[..received.bytes], b"my secret");
        client.send(b"thanks\n").unwrap();
        let pid = std::process::id();
        assert_eq!(
            lines(&finish(child)),
            [format!("the server, pid {pid}, euid 0, egid 0, says: thanks\\n")]
        );
    });
}

/// Without `SO_PEERPIDFD`, as before Linux 6.5 and under a filter, nobody is looked up by a number; and
/// who is served stays the same.
#[test]
#[cfg(not(any(target_arch = "x86", target_arch = "s390x")))] // where a filter sees no options
fn peer_auth_decides_the_same_without_pidfds_and_without_groups() {
    const SO_PEERGROUPS: i32 = 59;
    const SO_PEERPIDFD: i32 = 77;
    if left_out_by_qemu(FILTER) {
        return;
    }
    let (dir, [_, name]) = names();
    let (uid, gid) = ids();
    if uid == 65_534 {
        return skip("this user may be anybody");
    }
    let server = |option, group: &str| {
        let mut command = example("peer_auth");
        command.args([&name, "--group", group, "--clients", "1"]);
        without_option(&mut command, option);
        let server = Running::spawn(command);
        assert_eq!(server.line(), format!("listening on {name}"));
        server
    };
    let running = server(SO_PEERPIDFD, "61303");
    let client = start(example("peer_auth"), &name);
    let pid = client.id();
    lines(&finish(client));
    let who = format!("client 1: pid {pid}, euid {uid}, egid {gid}");
    assert_eq!(
        running.end(),
        [
            format!("{who}, program unknown without a pidfd: served, the same user"),
            "client 1: 9 bytes received".to_string(),
        ]
    );
    if !is_root() {
        return skip("only root can start others as somebody else");
    }
    // A member by a supplementary group, which cannot be learned, is none.
    let copy = for_all(&dir, "peer_auth");
    for (option, served) in [(SO_PEERGROUPS, false), (SO_PEERPIDFD, true)] {
        let running = server(option, "61303");
        let mut command = program(&copy);
        drop_to(&mut command, UID, GID, &[GROUP]);
        command.args([&name, "--send", "--root"]).stdin(Stdio::null());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = spawn(&mut command).unwrap();
        let mut input = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, b"my secret\n").unwrap();
        drop(input);
        let output = finish(child);
        assert_eq!(output.status.success(), served, "{output:?}");
        let seen = running.end();
        let end = match served {
            true => "program unknown without a pidfd: served, a member of a group",
            false => "; this kernel does not tell its other groups",
        };
        assert!(seen[0].ends_with(end), "{seen:?}");
    }
}

/// Where it cannot be learned who is at the other end, nobody is served, and nobody is told.
#[test]
#[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
fn peer_auth_trusts_nobody_without_credentials() {
    if left_out_by_qemu(FILTER) {
        return;
    }
    let (_dir, [_, name]) = names();
    let missing = words(libc::ENOPROTOOPT);
    let mut command = example("peer_auth");
    command.arg(&name);
    without_option(&mut command, libc::SO_PEERCRED);
    let mut server = Running::spawn(command);
    assert_eq!(server.line(), format!("listening on {name}"));
    if ids().0 != 65_534 {
        let said = complaint(&sent(example("peer_auth"), &name));
        assert_eq!(said, "peer_auth: the server has left\n");
        let said = complaint(&finish_early(&mut server));
        assert_eq!(said, format!("peer_auth: cannot learn who a client is: {missing}\n"));
    }

    let listener = UnixSeqpacketListener::bind(&parse(&name)).unwrap();
    let mut client = example("peer_auth");
    without_option(&mut client, libc::SO_PEERCRED);
    let said = complaint(&sent(client, &name));
    assert_eq!(said, format!("peer_auth: cannot learn who the server is: {missing}\n"));
    let (client, _) = listener.accept().unwrap();
    assert_eq!(client.recv(&mut [0; 16]).unwrap().size, 0);
}

/// From its start on the program is told that there is no such option of level `SOL_SOCKET`.
#[cfg(not(any(target_arch = "x86", target_arch = "s390x")))]
fn without_option(command: &mut Command, option: i32) {
    use std::mem::offset_of;

    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOPROTOOPT as u32;

    let at = |offset: usize| u32::try_from(offset).unwrap();
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let low_half: usize = if cfg!(target_endian = "big") { 4 } else { 0 };
    let args = |index: usize| at(offset_of!(libc::seccomp_data, args) + index * 8 + low_half);
    let mut steps = [
        step(LOAD, 0, 0, at(offset_of!(libc::seccomp_data, nr))),
        step(JUMP_IF_EQUAL, 0, 5, u32::try_from(libc::SYS_getsockopt).unwrap()),
        step(LOAD, 0, 0, args(1)),
        step(JUMP_IF_EQUAL, 0, 3, libc::SOL_SOCKET as u32),
        step(LOAD, 0, 0, args(2)),
        step(JUMP_IF_EQUAL, 0, 1, option as u32),
        step(RETURN, 0, 0, REFUSE),
        step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    // SAFETY: system calls alone; the program is as long as it says and is owned by the closure.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
            let mode = libc::SECCOMP_MODE_FILTER;
            let failed = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
                || libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) != 0;
            if failed { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

#[test]
fn peer_auth_goes_on_after_clients_that_misbehave() {
    build_examples();
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    if ids().0 == 65_534 {
        return skip("this user may be anybody");
    }
    let server = Running::server("peer_auth", &path, &["--clients", "5"]);
    let connect = || {
        let client = UnixSeqpacket::connect(&parse(&path)).unwrap();
        let mut buf = [0; 16];
        let received = client.recv(&mut buf).unwrap();
        assert_eq!(&buf[..received.bytes], b"welcome");
        client
    };
    // Gone before it was accepted, perhaps; gone after; too much; and silent.
    drop(UnixSeqpacket::connect(&parse(&path)).unwrap());
    let _ = server.line();
    let gone = server.line();
    // Before it was greeted, or after.
    let cannot = format!("client 1: cannot greet: {}", words(libc::EPIPE));
    assert!(gone == cannot || gone == "client 1: it has left without reading", "{gone}");
    drop(connect());
    let _ = server.line();
    assert_eq!(server.line(), "client 2: it sent nothing");
    let greedy = connect();
    greedy.send(&[b'x'; 1025]).unwrap();
    let _ = server.line();
    assert_eq!(server.line(), "client 3: 1025 bytes are too much");
    let start = Instant::now();
    let silent = connect();
    let _ = server.line();
    assert_eq!(server.line(), "client 4: it says nothing");
    assert!(start.elapsed().as_secs() >= 4, "{:?}", start.elapsed());
    assert_eq!(silent.recv(&mut [0]).map(|received| received.size), Ok(0));
    assert_eq!(silent.send(b"late"), Err(Errno::PIPE));
    let said = lines(&sent(example("peer_auth"), &path));
    assert!(said[0].ends_with("says: received 9 bytes"), "{said:?}");
    assert_eq!(server.end().len(), 2);
}

/// Where it waits for one client alone, it stops as well.
#[test]
fn peer_auth_stops_at_a_signal_when_it_waits_for_a_client() {
    build_examples();
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    let mut server = Running::server("peer_auth", &path, &[]);
    let client = UnixSeqpacket::connect(&parse(&path)).unwrap();
    let _ = server.line();
    server.signal(libc::SIGTERM);
    assert_eq!(server.end(), ["client 1: it was not waited for", "interrupted"]);
    assert!(!std::path::Path::new(&path).exists());
    drop(client);
}

#[test]
fn peer_auth_goes_on_without_descriptors() {
    build_examples();
    let _watchdog = Watchdog::new();
    let (_dir, [path, _]) = names();
    let server = Running::server("peer_auth", &path, &["--clients", "1"]);
    let limit = |count| {
        let pid = libc::pid_t::try_from(server.id()).unwrap();
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: one limit to write, then one to read.
        unsafe {
            let (number, null) = (libc::RLIMIT_NOFILE, std::ptr::null_mut());
            assert_eq!(libc::prlimit(pid, number, std::ptr::null(), &raw mut limit), 0);
            limit.rlim_cur = count;
            assert_eq!(libc::prlimit(pid, number, &raw const limit, null), 0);
        }
    };
    limit(5);
    let client = start(example("peer_auth"), &path);
    std::thread::sleep(std::time::Duration::from_millis(300));
    limit(64);
    lines(&finish(client));
    assert_eq!(server.end().len(), 2);
}

#[test]
fn peer_auth_says_what_is_wrong() {
    let (_dir, [path, name]) = names();
    let says = |args: &[&str], input: &[u8], wanted: &str| {
        let message = complaint(&run_with("peer_auth", args, input));
        let first = message.lines().next().unwrap_or_default();
        assert_eq!(first, format!("peer_auth: {wanted}"), "{args:?}");
    };
    says(&[&name, "--group"], b"", "--group wants a group");
    says(&[&name, "--group", "no such"], b"", "there is no group no such");
    says(&[&name, "--group", "65534"], b"", "anybody may seem to be in the group 65534");
    says(&[&name, "--group", "4294967295"], b"", "anybody may seem to be in the group 4294967295");
    let usage = "usage: peer_auth ADDRESS [--group NAME_OR_NUMBER]... [--clients N]";
    says(&[&name, "--send", "--clients", "1"], b"", usage);
    says(&[&name, "--send", "--group", "1"], b"", usage);
    says(&[&name, "--root"], b"", usage);
    says(&[&name, "--send"], b" \n", "wanted 1 to 1024 bytes on standard input");
    says(&[&name, "--send"], &[b'x'; 2000], "wanted 1 to 1024 bytes on standard input");
    let no = |errno| words(errno);
    says(
        &[&name, "--send"],
        b"x",
        &format!("cannot connect to {name}: {}", no(libc::ECONNREFUSED)),
    );
    says(&[&path, "--send"], b"x", &format!("cannot connect to {path}: {}", no(libc::ENOENT)));
    // A group by its name: root's is everywhere.
    let mut server = Running::server("peer_auth", &name, &["--group", "root"]);
    server.signal(libc::SIGINT);
    assert_eq!(server.end(), ["interrupted"]);
}

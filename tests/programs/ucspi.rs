//! `unixserver` and `unixclient`, which tell their programs who is at the other end.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use afunix::{Pid, Uid, UnixListener, UnixStream};

use crate::common::{LONG, TempDir, Watchdog, is_root, passes_in_child, run, skip};
use crate::identity::{Ids, is_somebody};
use crate::tool::{Running, read_all, when_there};

/// Whether both are there; if not, says so, and the test is left out.
fn are_there() -> bool {
    // They have no word for success without a socket.
    let is_there = |program: &&str| {
        let found = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        });
        let usage = format!("usage: {program} ");
        found && String::from_utf8_lossy(&run(&mut Command::new(program)).stderr).contains(&usage)
    };
    let there = ["unixserver", "unixclient"].iter().all(is_there);
    if !there {
        skip("no unixserver and unixclient");
    }
    there
}

/// Numbers that a program printed.
fn numbers(stream: &UnixStream) -> Vec<u32> {
    stream.set_read_timeout(Some(LONG / 2)).unwrap();
    let text = String::from_utf8(read_all(stream)).unwrap();
    text.split_whitespace().map(|word| word.parse().unwrap()).collect()
}

const REMOTE: &str = "$UNIXREMOTEEUID $UNIXREMOTEEGID $UNIXREMOTEPID";

/// Connects to it and to a listener of ours: both see the same, which is `ids`.
fn is_seen_as(ids: Ids, server: &(UnixStream, u32), listener: &(UnixListener, UnixStream)) {
    let ((stream, server), (listener, _client)) = (server, listener);
    let (_, _, seen) = listener.accept_peer().unwrap();
    let told = numbers(stream);
    let (euid, egid) = ids.effective;
    assert_eq!(told, [euid, egid, std::process::id()], "{ids:?}");
    let pid = seen.pid.map(|pid| pid.as_raw_pid().cast_unsigned());
    assert_eq!([seen.euid.as_raw(), seen.egid.as_raw(), pid.unwrap()], *told, "{ids:?}");
    seen.require_user(Uid::from_raw(euid)).unwrap();
    if ids.real.0 != euid {
        seen.require_user(Uid::from_raw(ids.real.0)).unwrap_err();
    }
    // And we see the server, not the program that it started.
    let server = Pid::from_raw(server.cast_signed()).unwrap();
    let seen = stream.peer_credentials().unwrap();
    seen.require_process(server).unwrap();
    seen.require_user(Uid::from_raw(Ids::own().effective.0)).unwrap();
    seen.require_process(rustix::process::getpid()).unwrap_err();
}

#[test]
fn unixserver_sees_our_client_as_our_listener_does() {
    if !are_there() || !is_somebody() {
        return;
    }
    let _watchdog = Watchdog::new();
    let test = "ucspi::unixserver_sees_our_client_as_our_listener_does";
    passes_in_child(test, || {
        let dir = TempDir::new();
        let path = dir.join("s");
        let mut command = Command::new("unixserver");
        // It takes options from behind the path, too.
        command.args(["-q", "--"]).arg(&path).args(["sh", "-c", &format!("echo {REMOTE}")]);
        let program = Running::start(&mut command, Vec::new());
        let server = crate::common::addr(&path);
        when_there(|| UnixStream::connect(&server));
        let (listener, ours) = UnixListener::autobind().unwrap();
        let connect = || {
            let stream = UnixStream::connect(&server).unwrap();
            let client = UnixStream::connect(&ours).unwrap();
            ((stream, program.pid()), (listener.try_clone().unwrap(), client))
        };
        let (stream, client) = connect();
        is_seen_as(Ids::own(), &stream, &client);
        if !is_root() {
            return skip("only root may be somebody else");
        }
        for ids in Ids::others() {
            // It is of the moment of the connection.
            let (stream, client) = ids.during(connect);
            is_seen_as(ids, &stream, &client);
        }
    });
}

/// One run of it, as somebody.
fn asks_our_listener(ids: Option<Ids>) {
    let dir = TempDir::new();
    let path = dir.join("s");
    let listener = UnixListener::bind(&crate::common::addr(&path)).unwrap();
    listener.set_accept_timeout(Some(LONG / 2)).unwrap();
    // For all.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("unixclient");
    let script = format!("echo {REMOTE} $UNIXLOCALPID >&7");
    command.arg(&path).args(["sh", "-c", &script]);
    if let Some(ids) = ids {
        // SAFETY: the closure makes two system calls, without pointers, and nothing else.
        unsafe { command.pre_exec(move || ids.set()) };
    }
    let program = Running::start(&mut command, Vec::new());
    let (stream, from, client) = listener.accept_peer().unwrap();
    assert!(from.is_unnamed());
    let own = Ids::own();
    let (euid, egid) = ids.unwrap_or(own).effective;
    assert_eq!((client.euid.as_raw(), client.egid.as_raw()), (euid, egid), "{ids:?}");
    client.require_user(Uid::from_raw(euid)).unwrap();
    client.require_process(Pid::from_raw(program.pid().cast_signed()).unwrap()).unwrap();
    assert_eq!(client.require_same_user().is_ok(), euid == own.effective.0, "{ids:?}");

    // What it knows of us, and of itself.
    let (our_euid, our_egid) = own.effective;
    let told = [our_euid, our_egid, std::process::id(), program.pid()];
    assert_eq!(numbers(&stream), told, "{ids:?}");
    assert_eq!(program.end(), b"");
}

#[test]
fn unixclient_is_who_our_listener_says_and_knows_who_listens() {
    if !are_there() || !is_somebody() {
        return;
    }
    let _watchdog = Watchdog::new();
    asks_our_listener(None);
    if !is_root() {
        return skip("only root may be somebody else");
    }
    for ids in Ids::others() {
        asks_our_listener(Some(ids));
    }
}

//! `datagram_server` and `datagram_client`.

use std::path::Path;

use afunix::UnixDatagram;

use crate::common;
use crate::program::*;

#[test]
fn datagram_server_answers_many_clients() {
    let (_dir, addrs) = names();
    for addr in &addrs {
        let server = Running::server("datagram_server", addr, &["--messages", "75"]);
        let clients =
            Running::start("datagram_client", &[addr, "--clients", "25", "--messages", "3"]);
        let wanted: Vec<_> =
            (1..=25).map(|number| format!("client {number}: 3 messages sent, 3 answers")).collect();
        assert_eq!(clients.end(), wanted);

        // Each client's messages came in their order, and all from the one name that is its own.
        let seen = server.end();
        assert_eq!(seen.len(), 75);
        let mut names = std::collections::BTreeSet::new();
        for number in 1..=25 {
            let of_client: Vec<_> = seen
                .iter()
                .filter_map(|line| line.split_once(": "))
                .filter(|(_, text)| text.contains(&format!(" client {number} ")))
                .collect();
            let (name, _) = of_client[0];
            assert_autobound(name);
            assert!(names.insert(name.to_string()), "{name} twice");
            let wanted: Vec<_> = (1..=3)
                .map(|message| format!("client {number} message {message}"))
                .map(|text| (name, format!("{} bytes: {text}", text.len())))
                .collect();
            assert_eq!(
                of_client.iter().map(|(n, t)| (*n, t.to_string())).collect::<Vec<_>>(),
                wanted
            );
        }
        assert!(!Path::new(addr).exists());
    }
}

#[test]
fn datagram_clients_may_have_paths_for_names() {
    let (dir, [path, _]) = names();
    let prefix = dir.join("c").to_str().unwrap().to_string();
    let server = Running::server("datagram_server", &path, &["--messages", "2"]);
    let output = run("datagram_client", &[&path, "--name", &prefix, "--clients", "2"]);
    assert_eq!(
        lines(&output),
        ["client 1: 1 messages sent, 1 answers", "client 2: 1 messages sent, 1 answers"]
    );
    let wanted: Vec<_> =
        (1..=2).map(|n| format!("{prefix}.{n}: 18 bytes: client {n} message 1")).collect();
    assert_eq!(sorted(server.end()), wanted);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);

    std::fs::write(format!("{prefix}.1"), b"").unwrap();
    let _server = Running::server("datagram_server", &path, &[]);
    assert_eq!(
        complaint(&run("datagram_client", &[&path, "--name", &prefix])),
        format!(
            "client 1: cannot bind to {prefix}.1: what has the name is no socket but a regular file\n\
             datagram_client: 1 of 1 clients failed\n"
        )
    );
    assert!(Path::new(&format!("{prefix}.1")).exists());
}

#[test]
fn datagram_server_reports_the_unnamed_and_the_cut() {
    let (_dir, [path, _]) = names();
    let server = Running::server("datagram_server", &path, &["--messages", "3", "--buffer", "10"]);
    let output = run("datagram_client", &[&path, "--unnamed", "--messages", "2"]);
    assert_eq!(lines(&output), ["client 1: 2 messages sent without a name, no answer can come"]);
    let output = run("datagram_client", &[&path, "--size", "1000"]);
    assert_eq!(lines(&output), ["client 1: 1 messages sent, 1 answers, 1 of them cut"]);
    let seen = server.end();
    let unnamed = [
        "<unnamed>: 10 of 18 bytes, the rest is lost: client 1 m",
        "<unnamed>: not answered: the sender has no name",
    ];
    assert_eq!(seen[..4], [unnamed, unnamed].concat());
    let (name, text) = seen[4].split_once(": ").unwrap();
    assert_autobound(name);
    assert_eq!(text, "10 of 1000 bytes, the rest is lost: client 1 m");
    assert_eq!(seen.len(), 5);
}

#[test]
fn datagram_server_is_not_held_up_by_one_client() {
    let (_dir, [path, _]) = names();
    let server = Running::server("datagram_server", &path, &["--messages", "401"]);
    let (idle, name) = UnixDatagram::autobind().unwrap();
    let _watchdog = common::Watchdog::new();
    for _ in 0..400 {
        idle.send_to(b"again", &parse(&path)).unwrap();
    }
    let output = run("datagram_client", &[&path, "--wait", "1"]);
    let seen = server.end();
    assert_eq!(seen.iter().filter(|line| **line == format!("{name}: 5 bytes: again")).count(), 400);
    let full = format!("{name}: not answered: {}", words(libc::EAGAIN));
    assert!(seen.contains(&full), "{seen:#?}");
    // Where the system allows longer queues, what is full is the server's send buffer, which is
    // one for all.
    let queue = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    if queue.trim().parse::<u32>().unwrap() <= 200 {
        assert_eq!(lines(&output), ["client 1: 1 messages sent, 1 answers"]);
        assert!(seen.last().unwrap().ends_with(": 18 bytes: client 1 message 1"));
    }
}

#[test]
fn datagram_clients_do_not_wait_for_ever() {
    let (_dir, [_, name]) = names();
    let _silent = UnixDatagram::bind(&parse(&name)).unwrap();
    // More than the queue of the server takes: some cannot send, the others get no answer.
    let output = run("datagram_client", &[&name, "--clients", "20", "--wait", "1"]);
    let message = complaint(&output);
    assert!(message.ends_with("datagram_client: 20 of 20 clients failed\n"), "{message}");
    let late = words(libc::ETIMEDOUT);
    for (number, line) in (1..=20).zip(message.lines()) {
        let wanted = ["get answer 1", "send message 1"]
            .map(|what| format!("client {number}: cannot {what}: {late}"));
        assert!(wanted.contains(&line.to_string()), "{line}");
    }
    assert!(message.contains("cannot get answer 1"), "{message}");
}

#[test]
fn datagram_client_looks_at_the_answer() {
    let (_dir, [_, name]) = names();
    let server = UnixDatagram::bind(&parse(&name)).unwrap();
    let mut client = Running::start("datagram_client", &[&name]);
    let _watchdog = common::Watchdog::new();
    let (_, from) = server.recv_from(&mut [0; 64]).unwrap();
    server.send_to(b"nonsense", &from).unwrap();
    assert_eq!(
        complaint(&finish_early(&mut client)),
        "client 1: message 1 was answered with nonsense\ndatagram_client: 1 of 1 clients failed\n"
    );
}

//! The README's table of what needs a newer kernel: each option as the running kernel has it, and as one
//! does that is older than it.

// Without processes there is no kernel to ask.
#![cfg(not(miri))]

#[path = "common/mod.rs"]
mod common;

use afunix::{Errno, Gid, PeerError, UnixDatagram, UnixListener, UnixStream};

use common::emulated::{OPTION, left_out_by_qemu};
use common::passes_in_child;

/// A row: its cells, the number of the option, and what is done with it.
struct Row {
    option: &'static str,
    needs_it: &'static str,
    since: (u32, u32),
    before: &'static str,
    number: libc::c_int,
    run: fn() -> Answer,
}

/// What an operation says, in the words of the table's last column.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    Done,
    Unsupported,
    Kernel(Errno),
}

impl From<Result<(), Errno>> for Answer {
    fn from(result: Result<(), Errno>) -> Self {
        result.map_or_else(Answer::Kernel, |()| Answer::Done)
    }
}

impl<T> From<Result<T, PeerError>> for Answer {
    fn from(result: Result<T, PeerError>) -> Self {
        match result {
            Ok(_) => Answer::Done,
            Err(PeerError::Unsupported(_)) => Answer::Unsupported,
            Err(error) => Answer::Kernel(error.errno()),
        }
    }
}

const ROWS: &[Row] = &[
    Row {
        option: "SO_PEEK_OFF",
        needs_it: "`set_peek_offset`",
        since: (3, 4),
        before: "`ENOPROTOOPT`",
        number: libc::SO_PEEK_OFF,
        run: || UnixDatagram::unbound().unwrap().set_peek_offset(Some(0)).into(),
    },
    Row {
        option: "SO_PEERGROUPS",
        needs_it: "`peer_groups`",
        since: (4, 13),
        before: "`Unsupported`",
        number: 59,
        run: || {
            let (a, _b) = UnixStream::pair().unwrap();
            match a.peer_groups(&mut [Gid::ROOT; 1]) {
                // There are more; so it was told.
                Err(PeerError::TooSmall { .. }) => Answer::Done,
                result => result.map(drop).into(),
            }
        },
    },
    Row {
        option: "SO_PASSPIDFD",
        needs_it: "`set_passpidfd`",
        since: (6, 5),
        before: "`ENOPROTOOPT`",
        number: 76,
        run: || UnixDatagram::unbound().unwrap().set_passpidfd(true).into(),
    },
    Row {
        option: "SO_PEERPIDFD",
        needs_it: "`peer_pidfd` and `peer`",
        since: (6, 5),
        before: "`Unsupported`",
        number: 77,
        run: || {
            let (a, _b) = UnixStream::pair().unwrap();
            let answer = a.peer_pidfd().into();
            assert_eq!(Answer::from(a.peer()), answer);
            answer
        },
    },
    Row {
        option: "SO_PEERPIDFD",
        needs_it: "`peer_pidfd` of a process that was waited for",
        since: (6, 16),
        before: "`EINVAL` or `ESRCH`",
        number: 77,
        run: of_who_is_gone,
    },
    Row {
        option: "SO_PASSRIGHTS",
        needs_it: "`set_passrights`",
        since: (6, 16),
        before: "`ENOPROTOOPT`",
        number: 83,
        run: || UnixDatagram::unbound().unwrap().set_passrights(false).into(),
    },
    Row {
        option: "SO_INQ",
        needs_it: "`set_inq`",
        since: (6, 17),
        before: "`ENOPROTOOPT`",
        number: 84,
        run: || UnixStream::unbound().unwrap().set_inq(true).into(),
    },
];

fn of_who_is_gone() -> Answer {
    let (listener, name) = UnixListener::autobind().unwrap();
    // SAFETY: the child makes system calls alone.
    match unsafe { libc::fork() } {
        0 => {
            let client = UnixStream::connect(&name);
            // The connection outlives the process, in the backlog.
            std::mem::forget(client);
            // SAFETY: nothing of this process is touched.
            unsafe { libc::_exit(0) }
        }
        child => {
            let mut status = 0;
            // SAFETY: a number, and a place for the answer.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
        }
    }
    let (connection, _) = listener.accept().unwrap();
    connection.peer_pidfd().into()
}

/// The cells of the table's rows, as they stand in the README.
fn table() -> Vec<[String; 4]> {
    let readme = include_str!("../README.md");
    let (_, rows) = readme.split_once("| option | what needs it |").expect("a table");
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |row: &str| {
        let row = row.trim_matches('|');
        Vec::from_iter(row.split('|').map(|cell| cell.trim().to_string()))
    };
    rows.map(|row| cells(row).try_into().expect("four cells")).collect()
}

#[test]
fn table_of_the_readme_is_what_is_tested() {
    let tested = ROWS.iter().map(|row| {
        let (major, minor) = row.since;
        let since = format!("{major}.{minor}");
        [format!("`{}`", row.option), row.needs_it.into(), since, row.before.into()]
    });
    assert_eq!(table(), Vec::from_iter(tested));
    // And the numbers are those of the kernel's headers, where libc knows them.
    assert_eq!((libc::SO_PEEK_OFF, libc::SO_PEERGROUPS), (ROWS[0].number, ROWS[1].number));
}

fn running() -> (u32, u32) {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers =
        release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// The answers that a cell allows.
fn allows(cell: &str, answer: Answer) -> bool {
    match answer {
        Answer::Done => false,
        Answer::Unsupported => cell == "`Unsupported`",
        Answer::Kernel(Errno::NOPROTOOPT) => cell == "`ENOPROTOOPT`",
        Answer::Kernel(Errno::INVAL) => cell.contains("`EINVAL`"),
        Answer::Kernel(Errno::SRCH) => cell.contains("`ESRCH`"),
        Answer::Kernel(_) => false,
    }
}

#[test]
fn running_kernel_does_what_the_table_says() {
    for row in ROWS {
        let answer = (row.run)();
        if answer == Answer::Kernel(Errno::NOPROTOOPT) && left_out_by_qemu(OPTION) {
            continue;
        }
        if running() >= row.since {
            assert_eq!(answer, Answer::Done, "{} for {}", row.option, row.needs_it);
        } else {
            assert!(allows(row.before, answer), "{} is {answer:?}", row.option);
        }
    }
}

// On 32-bit x86 the option's number is behind a pointer, where no filter sees it.
#[cfg(not(target_arch = "x86"))]
mod older {
    use super::*;
    use crate::common::emulated::FILTER;
    use crate::common::seccomp::{GETSOCKOPT, SETSOCKOPT, filter};

    /// From now on this option is answered by `errno`, to this thread.
    fn answer_by(option: libc::c_int, errno: Errno) {
        filter(GETSOCKOPT, Some(option), errno);
        filter(SETSOCKOPT, Some(option), errno);
    }

    fn check(test: &str, errno: Errno, rows: impl Fn(&Row) -> bool) {
        if left_out_by_qemu(FILTER) {
            return;
        }
        passes_in_child(test, || {
            for row in ROWS.iter().filter(|row| rows(row)) {
                // One filter is put before the other: each row's own is in force.
                answer_by(row.number, errno);
                let answer = (row.run)();
                assert!(allows(row.before, answer), "{} is {answer:?}", row.needs_it);
            }
        });
    }

    /// A kernel, or a filter, that does not know the option.
    #[test]
    fn option_that_is_not_known_is_as_the_table_says() {
        let test = "older::option_that_is_not_known_is_as_the_table_says";
        check(test, Errno::NOPROTOOPT, |row| !row.before.contains("`EINVAL`"));
    }

    /// What a kernel before 6.16 says of a process that is gone.
    #[test]
    fn process_that_is_gone_is_as_the_table_says() {
        let test = "older::process_that_is_gone_is_as_the_table_says";
        check(test, Errno::INVAL, |row| row.before.contains("`EINVAL`"));
    }

    #[test]
    fn process_that_is_gone_may_be_another_error() {
        let test = "older::process_that_is_gone_may_be_another_error";
        check(test, Errno::SRCH, |row| row.before.contains("`ESRCH`"));
    }

    /// The control: `EPERM` is nothing that the table tells of, and stays what it is.
    #[test]
    fn what_is_forbidden_is_in_no_cell() {
        let test = "older::what_is_forbidden_is_in_no_cell";
        if left_out_by_qemu(FILTER) {
            return;
        }
        passes_in_child(test, || {
            for row in ROWS {
                answer_by(row.number, Errno::PERM);
                let answer = (row.run)();
                assert_eq!(answer, Answer::Kernel(Errno::PERM), "{}", row.needs_it);
                assert!(!allows(row.before, answer));
            }
        });
    }
}

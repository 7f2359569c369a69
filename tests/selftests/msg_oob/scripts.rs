//! The cases, step by step.

use afunix::Errno;

use super::Do::{Inline, Recv, RecvNoOob, RecvNone, RecvOob, Send, SendOob};
use super::{Script, Step};

/// The receiver had nothing left.
const fn ends(steps: &'static [Step]) -> Script {
    Script { steps, end: Ok(0) }
}

/// The receiver had something left that it had not looked at.
const fn resets(steps: &'static [Step]) -> Script {
    Script { steps, end: Err(Errno::CONNRESET) }
}

// An urgent byte waits, or does not.
const URGENT: bool = true;
const PLAIN: bool = false;
// The next byte is at the mark, or is not.
const MARK: bool = true;
const OFF: bool = false;

pub const NON_OOB: Script = resets(&[(Send(b"x"), PLAIN, OFF), (RecvNoOob, PLAIN, OFF)]);

pub const NON_OOB_NO_RESET: Script = ends(&[(Send(b"x"), PLAIN, OFF), (Recv(1, b"x"), PLAIN, OFF)]);

pub const OOB: Script = ends(&[(SendOob(b"x"), URGENT, MARK), (RecvOob(b"x"), PLAIN, MARK)]);

pub const OOB_RESET: Script = resets(&[(SendOob(b"x"), URGENT, MARK)]);

pub const OOB_DROP: Script =
    ends(&[(SendOob(b"x"), URGENT, MARK), (RecvNone, PLAIN, OFF), (RecvNoOob, PLAIN, OFF)]);

pub const OOB_AHEAD: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (RecvOob(b"o"), PLAIN, OFF),
    (Recv(4, b"hell"), PLAIN, MARK),
]);

pub const OOB_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (Recv(5, b"hell"), URGENT, MARK),
    (RecvOob(b"o"), PLAIN, MARK),
    (RecvNone, PLAIN, OFF),
]);

pub const OOB_AHEAD_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (Send(b"world"), URGENT, OFF),
    (RecvOob(b"o"), PLAIN, OFF),
    (Recv(9, b"hell"), PLAIN, MARK),
    (Recv(5, b"world"), PLAIN, OFF),
]);

pub const OOB_BREAK_DROP: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (Send(b"world"), URGENT, OFF),
    (Recv(10, b"hell"), URGENT, MARK),
    (Recv(10, b"world"), PLAIN, OFF),
    (RecvNoOob, PLAIN, OFF),
]);

pub const EX_OOB_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (SendOob(b"wor"), URGENT, OFF),
    (Send(b"ld"), URGENT, OFF),
    (Recv(10, b"hellowo"), URGENT, MARK),
    (RecvOob(b"r"), PLAIN, MARK),
    (Recv(2, b"ld"), PLAIN, OFF),
]);

pub const EX_OOB_DROP: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (SendOob(b"y"), URGENT, OFF),
    (Recv(1, b"x"), URGENT, MARK),
    (RecvOob(b"y"), PLAIN, MARK),
]);

pub const EX_OOB_DROP_2: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (SendOob(b"y"), URGENT, OFF),
    (RecvOob(b"y"), PLAIN, OFF),
    (Recv(1, b"x"), PLAIN, MARK),
]);

pub const EX_OOB_OOB: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (RecvOob(b"x"), PLAIN, MARK),
    (SendOob(b"y"), URGENT, MARK),
    (RecvNone, PLAIN, OFF),
    (RecvNoOob, PLAIN, OFF),
]);

pub const EX_OOB_EX_OOB: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (RecvOob(b"x"), PLAIN, MARK),
    (SendOob(b"y"), URGENT, MARK),
    (RecvOob(b"y"), PLAIN, MARK),
]);

pub const EX_OOB_EX_OOB_OOB: Script = resets(&[
    (SendOob(b"x"), URGENT, MARK),
    (RecvOob(b"x"), PLAIN, MARK),
    (SendOob(b"y"), URGENT, MARK),
    (RecvOob(b"y"), PLAIN, MARK),
    (SendOob(b"z"), URGENT, MARK),
]);

pub const EX_OOB_AHEAD_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (SendOob(b"wor"), URGENT, OFF),
    (RecvOob(b"r"), PLAIN, OFF),
    (SendOob(b"ld"), URGENT, OFF),
    (Recv(10, b"hellowol"), URGENT, MARK),
    (RecvOob(b"d"), PLAIN, MARK),
]);

pub const EX_OOB_SIOCATMARK: Script = resets(&[
    (SendOob(b"hello"), URGENT, OFF),
    (RecvOob(b"o"), PLAIN, OFF),
    (SendOob(b"world"), URGENT, OFF),
    (Recv(4, b"hell"), URGENT, OFF),
]);

pub const INLINE_OOB: Script = ends(&[
    (Inline, PLAIN, OFF),
    (SendOob(b"x"), URGENT, MARK),
    (RecvNoOob, URGENT, MARK),
    (Recv(1, b"x"), PLAIN, OFF),
]);

pub const INLINE_OOB_BREAK: Script = ends(&[
    (Inline, PLAIN, OFF),
    (SendOob(b"hello"), URGENT, OFF),
    (RecvNoOob, URGENT, OFF),
    (Recv(5, b"hell"), URGENT, MARK),
    (Recv(1, b"o"), PLAIN, OFF),
]);

pub const INLINE_OOB_AHEAD_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (Send(b"world"), URGENT, OFF),
    (RecvOob(b"o"), PLAIN, OFF),
    (Inline, PLAIN, OFF),
    (Recv(9, b"hell"), PLAIN, MARK),
    (Recv(6, b"world"), PLAIN, OFF),
]);

pub const INLINE_EX_OOB_BREAK: Script = ends(&[
    (SendOob(b"hello"), URGENT, OFF),
    (SendOob(b"wor"), URGENT, OFF),
    (Send(b"ld"), URGENT, OFF),
    (Inline, URGENT, OFF),
    (Recv(10, b"hellowo"), URGENT, MARK),
    (Recv(10, b"rld"), PLAIN, OFF),
]);

pub const INLINE_EX_OOB_NO_DROP: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (Inline, URGENT, MARK),
    (SendOob(b"y"), URGENT, OFF),
    (Recv(1, b"x"), URGENT, MARK),
    (Recv(1, b"y"), PLAIN, OFF),
]);

pub const INLINE_EX_OOB_DROP: Script = ends(&[
    (SendOob(b"x"), URGENT, MARK),
    (SendOob(b"y"), URGENT, OFF),
    (Inline, URGENT, OFF),
    (Recv(1, b"x"), URGENT, MARK),
    (Recv(1, b"y"), PLAIN, OFF),
]);

pub const INLINE_EX_OOB_SIOCATMARK: Script = resets(&[
    (SendOob(b"hello"), URGENT, OFF),
    (RecvOob(b"o"), PLAIN, OFF),
    (Inline, PLAIN, OFF),
    (SendOob(b"world"), URGENT, OFF),
    (Recv(4, b"hell"), URGENT, OFF),
]);

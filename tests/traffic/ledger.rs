//! What must have arrived, and whether it did.

/// How many messages each sender sends.
pub const EACH: u32 = 150;

/// Every so many messages one brings a descriptor.
const WITH_DESCRIPTOR: u32 = 10;

/// Message `number` of a sender: its length differs, so that a cut or a glued one is seen.
pub fn message(sender: u8, number: u32) -> Vec<u8> {
    let mut message = vec![sender];
    message.extend_from_slice(&number.to_be_bytes());
    message.resize(5 + number as usize % 50, sender ^ number.to_be_bytes()[3]);
    message
}

/// What the descriptor leads to that comes with a message, if one does.
pub fn note(sender: u8, number: u32) -> Option<Vec<u8>> {
    (number % WITH_DESCRIPTOR == 3).then(|| message(sender, number + EACH))
}

/// One message as it arrived.
#[derive(Clone)]
pub struct Arrived {
    pub message: Vec<u8>,
    /// What could be read from the descriptor that came with it.
    pub note: Option<Vec<u8>>,
}

/// What is wrong with all that arrived: nothing may be missing, doubled, changed, or in another
/// order than its sender sent it in.
pub fn check(senders: u8, arrived: &[Arrived]) -> Result<(), String> {
    let mut next = vec![0; usize::from(senders)];
    for (position, Arrived { message: found, note: came }) in arrived.iter().enumerate() {
        let at = |what: String| Err(format!("message {position}: {what}"));
        let Some(number) = found.first().and_then(|&sender| next.get_mut(usize::from(sender)))
        else {
            return at(format!("from nobody: {found:?}"));
        };
        let sender = found[0];
        let told = found.get(1..5).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        if told != Some(*number) {
            return at(format!("{told:?} of sender {sender} in place of {number}"));
        }
        if *found != message(sender, *number) {
            return at(format!("{number} of sender {sender} is not as it was sent: {found:?}"));
        }
        if *came != note(sender, *number) {
            return at(format!("{number} of sender {sender} came with {came:?}"));
        }
        *number += 1;
    }
    match next.iter().position(|&number| number != EACH) {
        Some(sender) => Err(format!("the last of sender {sender} is {}", next[sender])),
        None => Ok(()),
    }
}

/// A change that must be seen, and how it is called when it is.
type Tampering = (fn(&mut Vec<Arrived>), &'static str);

/// Where sender 1 has its first message with a descriptor, and the next of its messages.
fn two_of_one(arrived: &[Arrived]) -> (usize, usize) {
    let mut own = arrived.iter().enumerate().filter(|(_, arrived)| arrived.message[0] == 1);
    let (first, _) = own.find(|(_, arrived)| arrived.note.is_some()).expect("one with a note");
    let (second, _) = own.next().expect("another");
    (first, second)
}

/// Panics if [`check`] is content with what did not arrive like this.
pub fn sees_what_is_wrong(senders: u8, arrived: &[Arrived]) {
    let tampered: &[Tampering] = &[
        (|all| drop(all.remove(two_of_one(all).0)), "in place of"),
        (|all| drop(all.pop()), "the last of sender"),
        (|all| drop(all.remove(0)), "in place of"),
        (|all| all.insert(0, all[0].clone()), "in place of"),
        (|all| all.push(all[all.len() - 1].clone()), "in place of"),
        (
            |all| {
                let (first, second) = two_of_one(all);
                all.swap(first, second);
            },
            "in place of",
        ),
        (
            |all| {
                let at = two_of_one(all).1;
                all[at].message.pop();
            },
            "not as it was sent",
        ),
        (
            |all| {
                let (first, second) = two_of_one(all);
                let more = all[second].message.clone();
                all[first].message.extend(more);
            },
            "not as it was sent",
        ),
        (
            |all| {
                let at = two_of_one(all).0;
                all[at].note = None;
            },
            "came with None",
        ),
        (
            |all| {
                let (first, second) = two_of_one(all);
                all[second].note = all[first].note.take();
            },
            "came with",
        ),
        (|all| all[0].message[0] = 200, "from nobody"),
        (|all| all[0].message.clear(), "from nobody"),
    ];
    for (number, (tamper, expected)) in tampered.iter().enumerate() {
        let mut wrong = arrived.to_vec();
        tamper(&mut wrong);
        let seen = check(senders, &wrong).expect_err("a change that was not seen");
        assert!(seen.contains(expected), "change {number}: {seen}");
    }
}

//! A property: whatever happens to a log and to its reader, each refusal counts once, or its loss is told.

use super::test_reader::Reader;
use super::test_writer::Writer;

/// Sequences tried, and steps of each.
const SEQUENCES: u64 = 400;
const STEPS: u64 = 40;

/// xorshift64*: small, and the same everywhere, so that a seed names a sequence. `proptest` would shrink,
/// but a sequence here is a folder's history, of which parts make no sense alone.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

fn step(
    chance: &mut Chance,
    writer: &mut Writer,
    reader: &mut Reader,
    told: &mut Vec<String>,
) -> bool {
    let which = chance.below(100);
    told.push(format!("{which}"));
    match which {
        0..30 => {
            for _ in 0..1 + chance.below(9) {
                if chance.below(2) == 0 {
                    writer.begin();
                }
                let part = (chance.below(6) == 0).then(|| chance.below(300) as usize);
                writer.line(chance.below(4) as usize, part);
            }
        }
        30..34 => {
            let many = 20 + chance.below(60);
            writer.uploads(many);
        }
        34..36 => writer.restart(),
        36..42 if writer.is_on_path() => writer.rename(),
        42..50 if !writer.is_on_path() => writer.reopen(),
        50..54 if writer.is_on_path() => {
            writer.rename();
            writer.reopen();
        }
        54..60 if writer.is_on_path() => writer.copytruncate(),
        60..61 if writer.is_on_path() => {
            // A file that comes and goes unseen, or empty, cannot be missed by anyone.
            writer.uploads(1);
            reader.catch_up();
            reader.save();
            let more = chance.below(4);
            writer.uploads(more);
            writer.recreate();
            return true;
        }
        61..65 if writer.is_on_path() => writer.compress(),
        65..85 => reader.look(200 + chance.below(1500) as i64),
        85..87 => reader.look(70_000),
        87..94 => reader.save(),
        94..100 => reader.kill(),
        _ => {}
    }
    false
}

fn sequence(seed: u64) {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut writer = Writer::new(chance.below(2) == 0);
    let mut reader = Reader::new(&writer.path());
    let mut told = Vec::new();
    let mut deleted = false;
    // What was never looked at before its first kill has no place to continue from.
    reader.look(1);
    reader.save();
    for _ in 0..STEPS {
        deleted |= step(&mut chance, &mut writer, &mut reader, &mut told);
    }
    if !writer.is_on_path() {
        writer.reopen();
    }
    writer.end();
    writer.uploads(1);
    reader.catch_up();
    reader.look(70_000);
    reader.catch_up();
    let lost = reader.notes().iter().any(|note| note.contains("nothing was read between"))
        || reader.notes().iter().any(|note| note.contains("late lines"));
    let notes = reader.notes().join("\n");
    let told = told.join(" ");
    assert!(!lost || deleted, "seed {seed}: a loss of nothing was told: {notes}\n{told}");
    let written = writer.written.clone();
    let torn = writer.torn.clone();
    let counted = reader.counted().clone();
    for (number, count) in &counted {
        assert!(*count == 1, "seed {seed}: {number} counted {count} times\n{told}");
        assert!(written.contains(number), "seed {seed}: {number} was never whole\n{told}");
    }
    if lost {
        return;
    }
    let missing: Vec<_> = written.iter().filter(|number| !counted.contains_key(number)).collect();
    let missing: Vec<_> = missing.into_iter().filter(|number| !torn.contains(number)).collect();
    assert!(
        missing.is_empty(),
        "seed {seed}: {missing:?} of {} missed\n{told}\n{notes}",
        written.len()
    );
}

#[test]
fn each_refusal_counts_once_or_its_loss_is_told() {
    (1..=SEQUENCES).for_each(sequence);
}

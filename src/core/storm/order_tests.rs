//! Random log events and looks → the order in which each storm is told: its beginning once and first, its end only
//! of what continues. Random, and the same in every run.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Change, Event, StormWatch};
use crate::evidence::log_event::{Delay, LogEvent, What};
use crate::evidence::poll::{Covered, Device, Poll, Waiting};
use crate::evidence::storm_thresholds::Thresholds;

/// Runs, and steps of each.
const RUNS: u64 = 100;
const STEPS: usize = 400;

/// Numbers that only look random (SplitMix64).
struct Dice(u64);

impl Dice {
    /// One number below `sides`.
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as u64) as usize]
    }

    fn thresholds(&mut self) -> Thresholds {
        let seconds = SignedDuration::from_secs;
        Thresholds {
            fleet: self.one_of(&[4, 6, 10]),
            together: seconds(self.one_of(&[20, 300, 1200])),
            quiet: seconds(self.one_of(&[10, 120, 600])),
            flap: seconds(self.one_of(&[600, 3600])),
            ..Thresholds::default()
        }
    }

    fn device(&mut self) -> Device {
        let user = format!("@u{}:x", self.roll(12));
        Device { user, device: self.one_of(&["D", "E"]).to_owned() }
    }

    fn log_event(&mut self, at: Timestamp) -> LogEvent {
        let of = self.device();
        let user = of.user.try_into().unwrap();
        let device = of.device.into();
        let address = format!("203.0.113.{}", self.roll(8));
        let (what, count) = match self.roll(10) {
            0..5 => (What::Refused { user, device, key: "a:1".into() }, 3),
            5 => (What::TooLarge { user, device }, 3),
            6 => (What::Accepted { user, device }, 600),
            7 => (What::Claimed { user, device }, 50),
            8 => (What::Delay { address, answer: Delay::Limited }, 5),
            _ => (What::Delay { address, answer: Delay::Slow }, 2),
        };
        LogEvent { at, count, what }
    }

    fn look(&mut self, at: Timestamp) -> Poll {
        let dead = (0..self.roll(8)).map(|_| self.device()).collect();
        let waiting = (0..self.roll(8)).map(|_| Waiting {
            of: self.device(),
            count: 10 + self.roll(900),
            last_seen: at,
        });
        let waiting = Some(waiting.collect());
        let covered = Some(Covered { after: None, to: None, devices: 24 });
        Poll { at, dead, untested: Vec::new(), waiting, covered, failed: None }
    }
}

/// What a storm was last told to be, by its number.
type Told = BTreeMap<u64, Change>;

/// Notes what one call told, and says what is out of order.
fn note(told: &mut Told, events: &[Event]) -> Result<(), String> {
    let mut began = Vec::new();
    for event in events {
        let storm = event.storm;
        let change = event.change;
        let before = told.get(&storm).copied();
        let wrong = match (before, change) {
            (None, Change::Started) => None,
            (None, _) => Some("its first message is no beginning"),
            (Some(_), Change::Started) => Some("it began twice"),
            (Some(Change::Ended), Change::Resumed) => None,
            (Some(Change::Ended), _) => Some("it is over already"),
            (Some(_), Change::Resumed) => Some("it came back and was not over"),
            (Some(_), Change::Cause) if began.contains(&storm) => {
                Some("its verdict is looked at again as it begins")
            }
            _ => None,
        };
        if let Some(wrong) = wrong {
            return Err(format!("storm {storm}, {change:?} after {before:?}: {wrong}"));
        }
        if change == Change::Started {
            began.push(storm);
        }
        told.insert(storm, change);
    }
    Ok(())
}

#[test]
fn each_storm_begins_once_whatever_is_seen() {
    let mut storms = 0;
    let mut held = 0;
    for seed in 0..RUNS {
        let mut dice = Dice(seed);
        let mut watch = StormWatch::new(dice.thresholds());
        let mut told = Told::new();
        let mut now = Timestamp::from_second(1_795_348_000).unwrap();
        for step in 0..STEPS {
            now += SignedDuration::from_secs(dice.one_of(&[0, 1, 1, 7, 30, 200, 900]));
            let events = match dice.roll(20) {
                0..14 => {
                    let log_event = dice.log_event(now);
                    watch.see(log_event)
                }
                14 => {
                    let look = dice.look(now);
                    watch.polled(&look)
                }
                15 => {
                    // A restart.
                    let kept = serde_json::to_string(&watch).unwrap();
                    watch = serde_json::from_str(&kept).unwrap();
                    Vec::new()
                }
                _ => watch.tick(now),
            };
            note(&mut told, &events)
                .unwrap_or_else(|wrong| panic!("seed {seed}, step {step}: {wrong}"));
        }
        let rest = watch.release();
        held += rest.len();
        note(&mut told, &rest).unwrap_or_else(|wrong| panic!("seed {seed}, at the end: {wrong}"));
        storms += told.len();
    }
    assert!(storms > 1000 && held > 10, "too little happened: {storms} storms, {held} held back");
}

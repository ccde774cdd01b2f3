//! A storm's timeline → a picture for a phone: one lane below the other, each with its own maximum, because
//! six thousand refusals and two claims share no scale. It draws what was counted and never decides.
//!
//! Matrix clients show no SVG, so it is rasterised; and as a server may have no fonts, one is built in. Its
//! letters are all of one width, so what fits a line is known without measuring.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use resvg::{tiny_skia, usvg};

use super::chart_lanes::{LANES, Lane, Lanes, Tick, alt, length, ticks};
use super::page::{clip, escape, visible};
use super::view::View;
use crate::storm::Timeline;

/// A picture of a storm, ready to be attached.
#[derive(Debug, Clone)]
pub struct Picture {
    pub png: Vec<u8>,
    pub width: u32,
    pub height: u32,
    /// Says in words what it shows.
    pub alt: String,
}

/// Twice the column of a phone, so that it is sharp there.
const WIDTH: u32 = 800;
const HEIGHT: u32 = 520;
const LEFT: f64 = 16.0;
const RIGHT: f64 = 784.0;
/// Letters of a size are this wide, in all of the font.
const LETTER: f64 = 0.602;
const FONT: &str = "Hack";
const SIZE: f64 = 23.0;
const TITLE: f64 = 27.0;
const TITLE_LINES: usize = 2;
/// A line of text, a title's, and the air between two lanes.
const LINE: f64 = 32.0;
const TITLE_LINE: f64 = 36.0;
const GAP: f64 = 12.0;
/// More marks than this on a line would hide it.
const MARKS: usize = 40;
/// Of the colours that the colour-blind tell apart (Okabe and Ito); the shapes differ too.
const COLOURS: [&str; LANES] = ["#c84e00", "#0072b2", "#00795a"];

/// Reading the font takes longer than drawing with it.
static FONTS: LazyLock<Arc<usvg::fontdb::Database>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::HACK_REGULAR.to_vec());
    fonts.set_monospace_family(FONT);
    Arc::new(fonts)
});

/// Draws a storm's timeline; `title` says whose it is. None where there is nothing to draw, or it cannot be
/// drawn.
pub fn picture(timeline: &Timeline, title: &str, view: &View) -> Option<Picture> {
    let lanes = Lanes::from_timeline(timeline).filter(Lanes::have_something)?;
    let options =
        usvg::Options { font_family: FONT.into(), fontdb: FONTS.clone(), ..Default::default() };
    let tree = usvg::Tree::from_str(&drawn(&lanes, title, view), &options).ok()?;
    let mut pixels = tiny_skia::Pixmap::new(WIDTH, HEIGHT)?;
    resvg::render(&tree, tiny_skia::Transform::identity(), &mut pixels.as_mut());
    let png = packed(&pixels).ok()?;
    let alt = alt(&lanes, title, view);
    Some(Picture { png, width: WIDTH, height: HEIGHT, alt })
}

/// Without a fourth channel, because nothing shines through, and without filters, which are for photographs:
/// a fifth smaller, and the worst keeps below 100 kB.
fn packed(pixels: &tiny_skia::Pixmap) -> Result<Vec<u8>, png::EncodingError> {
    let mut out = Vec::new();
    let mut encoder = png::Encoder::new(&mut out, pixels.width(), pixels.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_compression(png::Compression::Balanced);
    // After the compression, which would choose another.
    encoder.set_filter(png::Filter::NoFilter);
    let colours: Vec<u8> =
        pixels.pixels().iter().flat_map(|of| [of.red(), of.green(), of.blue()]).collect();
    encoder.write_header()?.write_image_data(&colours)?;
    Ok(out)
}

/// The same as SVG text; empty where there is nothing to draw.
pub fn chart(timeline: &Timeline, title: &str, view: &View) -> String {
    Lanes::from_timeline(timeline).map(|lanes| drawn(&lanes, title, view)).unwrap_or_default()
}

fn drawn(lanes: &Lanes, title: &str, view: &View) -> String {
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" \
         viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"{FONT}\" font-size=\"{SIZE}\" \
         fill=\"#1b2430\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fbfaf6\"/>\n"
    );
    let mut top = 6.0;
    for line in title_lines(title) {
        top += TITLE_LINE;
        // There is no bold letter in the font; a thin outline makes one.
        let bold = format!("font-size=\"{TITLE}\" stroke=\"#1b2430\" stroke-width=\"0.9\"");
        text(&mut out, (LEFT, top - 8.0), &bold, &line);
    }
    let bottom = f64::from(HEIGHT) - 2.0 * LINE - 10.0;
    let ticks = ticks(lanes, view);
    axis(&mut out, lanes, &ticks, bottom + 30.0);
    let live = |lane: &Lane| lane.total > 0;
    let heads = lanes.all.len() as f64 * (LINE + GAP);
    // The storm itself has three times the room of the rest.
    let weight = |number: usize| if number == 0 { 3.0 } else { 1.0 };
    let numbered = || lanes.all.iter().enumerate();
    let weights: f64 = numbered().filter(|(_, lane)| live(lane)).map(|(at, _)| weight(at)).sum();
    let room = (bottom - top - heads).max(0.0);
    for (number, lane) in numbered() {
        let height = if live(lane) { room * weight(number) / weights } else { 0.0 };
        let base = top + LINE + height + GAP;
        heading(&mut out, lanes, number, base - height - 9.0);
        if live(lane) {
            ground(&mut out, lanes, &ticks, (base - height, base));
            plot(&mut out, lane, number, (base - height, base));
        }
        top = base;
    }
    let span = view.span(lanes.from, lanes.to);
    text(&mut out, (LEFT, f64::from(HEIGHT) - 14.0), "fill=\"#4a5563\"", &span);
    out + "</svg>\n"
}

/// What a lane counts and how much of it; on the right, right above the line that it names, its maximum.
fn heading(out: &mut String, lanes: &Lanes, number: usize, y: f64) {
    let lane = &lanes.all[number];
    mark(out, number, (LEFT + 9.0, y - 8.0), 9.0);
    let total = if lane.total == 0 { "none".to_owned() } else { figure(lane.total) };
    text(out, (LEFT + 28.0, y), "", &format!("{}: {total}", lane.name));
    if lane.total > 0 {
        let most = format!("peak {} per {}", figure(lane.most), length(lanes.step));
        text(out, (RIGHT, y), "text-anchor=\"end\"", &most);
    }
}

fn plot(out: &mut String, lane: &Lane, number: usize, (top, base): (f64, f64)) {
    let wide = (RIGHT - LEFT) / lane.counts.len() as f64;
    // One of six thousand is seen too.
    let y = |count: u64| match count {
        0 => base,
        count => (base - (base - top) * count as f64 / lane.most as f64).min(base - 3.0),
    };
    let x = |column: usize| LEFT + wide * column as f64;
    let colour = COLOURS[number % COLOURS.len()];
    let seen = || lane.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    if number == 0 {
        let gap = if wide > 8.0 { 1.5 } else { 0.0 };
        let columns: String = seen()
            .map(|(at, count)| {
                let left = x(at);
                let right = x(at + 1) - gap;
                format!("M{left:.1} {base:.1}V{:.1}H{right:.1}V{base:.1}Z", y(*count))
            })
            .collect();
        let _ = writeln!(out, "<path d=\"{columns}\" fill=\"{colour}\"/>");
        return;
    }
    let points: String = (lane.counts.iter().enumerate())
        .map(|(at, count)| format!("L{:.1} {:.1}", x(at) + wide / 2.0, y(*count)))
        .collect();
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {base:.1}{points}L{RIGHT} {base:.1}\" stroke=\"{colour}\" \
         stroke-width=\"3\" stroke-linejoin=\"round\" fill=\"{colour}\" fill-opacity=\"0.15\"/>"
    );
    if seen().count() <= MARKS {
        seen().for_each(|(at, count)| mark(out, number, (x(at) + wide / 2.0, y(*count)), 6.0));
    }
}

/// What tells a lane from another without colours: a column, a ball, a diamond.
fn mark(out: &mut String, number: usize, (x, y): (f64, f64), size: f64) {
    let colour = COLOURS[number % COLOURS.len()];
    let left = x - size;
    let top = y - size;
    let side = 2.0 * size;
    let _ = match number {
        0 => writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{side}\" height=\"{side}\" \
             fill=\"{colour}\"/>"
        ),
        1 => writeln!(out, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{size}\" fill=\"{colour}\"/>"),
        _ => {
            let far = size * 1.25;
            writeln!(
                out,
                "<path d=\"M{x:.1} {:.1}l{far} {far}l-{far} {far}l-{far} -{far}Z\" \
                 fill=\"{colour}\"/>",
                y - far
            )
        }
    };
}

/// The times below all lanes; one that would touch the one before is left out.
fn axis(out: &mut String, lanes: &Lanes, ticks: &[Tick], y: f64) {
    let mut free = LEFT;
    for (at, label) in ticks {
        let half = label.chars().count() as f64 * LETTER * SIZE / 2.0;
        let x = x(lanes, *at).clamp(LEFT + half, RIGHT - half);
        if x - half >= free {
            text(out, (x, y), "text-anchor=\"middle\" fill=\"#4a5563\"", label);
            free = x + half + LETTER * SIZE;
        }
    }
}

/// Where a moment stands.
fn x(lanes: &Lanes, at: Timestamp) -> f64 {
    LEFT + (RIGHT - LEFT) * lanes.along(at)
}

/// A lane's ground: its maximum, its zero, and the times of the axis.
fn ground(out: &mut String, lanes: &Lanes, ticks: &[Tick], (top, base): (f64, f64)) {
    for (at, _) in ticks {
        let x = x(lanes, *at);
        let _ = writeln!(
            out,
            "<path d=\"M{x:.1} {top:.1}V{:.1}\" stroke=\"#d9dcdf\" stroke-width=\"2\"/>",
            base + 5.0
        );
    }
    let _ = writeln!(
        out,
        "<path d=\"M{LEFT} {top:.1}H{RIGHT}\" stroke=\"#8a97a5\" stroke-dasharray=\"3 5\"/>\
         <path d=\"M{LEFT} {base:.1}H{RIGHT}\" stroke=\"#4a5563\" stroke-width=\"2\"/>"
    );
}

fn text(out: &mut String, (x, y): (f64, f64), style: &str, words: &str) {
    let words: String = visible(words).chars().map(shown).collect();
    let words = escape(&words);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" xml:space=\"preserve\" {style}>{words}</text>"
    );
}

/// A letter that the font has, all of one width and read from left to right; any other is a sign for one.
fn shown(letter: char) -> char {
    match letter {
        ' '..='~' | '\u{a1}'..='\u{ac}' | '\u{ae}'..='\u{17f}' => letter,
        '\u{391}'..='\u{3a1}' | '\u{3a3}'..='\u{3c9}' | '\u{410}'..='\u{44f}' => letter,
        '–' | '—' | '…' | '’' | '“' | '”' => letter,
        _ => '□',
    }
}

/// A title in at most so many lines, broken at spaces where there are any; the rest is cut.
fn title_lines(title: &str) -> Vec<String> {
    let fits = ((RIGHT - LEFT) / (LETTER * TITLE)) as usize;
    let mut rest: Vec<char> = visible(title).trim().chars().collect();
    let mut lines = Vec::new();
    while !rest.is_empty() && lines.len() + 1 < TITLE_LINES && rest.len() > fits {
        let space = rest[..=fits].iter().rposition(|letter| *letter == ' ').filter(|at| *at > 0);
        let next = rest.split_off(space.unwrap_or(fits));
        lines.push(rest.into_iter().collect());
        rest = next.into_iter().skip_while(|letter| *letter == ' ').collect();
    }
    let last: String = rest.into_iter().collect();
    // The sign of the cut takes a letter's room.
    let room = if last.chars().count() > fits { fits - 1 } else { fits };
    lines.push(clip(&last, room));
    lines
}

/// A count for the eye: short where it is huge.
fn figure(count: u64) -> String {
    match count {
        0..10_000 => count.to_string(),
        10_000..1_000_000 => format!("{} {:03}", count / 1000, count % 1000),
        1_000_000..1_000_000_000 => format!("{:.1} M", count as f64 / 1e6),
        _ => format!("{:.1} G", count as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::SignedDuration;
    use jiff::tz::TimeZone;

    use super::*;
    use crate::storm::Curve;

    const NAMES: [&str; 3] = ["rejected uploads", "accepted uploads", "claims"];

    fn timeline(from: &str, step: i64, curves: &[&[u32]]) -> Timeline {
        let curves = NAMES.iter().zip(curves);
        let curve =
            |(name, counts): (&&'static str, &&[u32])| Curve { name, counts: counts.to_vec() };
        Timeline {
            from: from.parse().unwrap(),
            step: SignedDuration::from_secs(step),
            curves: curves.map(curve).collect(),
        }
    }

    fn utc() -> View {
        View::in_zone(TimeZone::UTC)
    }

    /// A storm as clients make it: three at the start, then a few at each sync.
    fn noise(length: usize, most: u32) -> Vec<u32> {
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        (0..length).map(|_| if most == 0 { 0 } else { next() % (most + 1) }).collect()
    }

    fn samples() -> Vec<(&'static str, Timeline, &'static str, View)> {
        let berlin = || View::in_zone(TimeZone::get("Europe/Berlin").unwrap());
        let mut claims = vec![0; 44];
        (claims[9], claims[30]) = (2, 1);
        let mut refused = noise(44, 60);
        refused[..6].fill(0);
        let from = "2026-11-25T14:02:10Z";
        let long =
            "@somebody-with-a-long-name:matrix.example.org <b>\u{202e}\u{7}漢字 DEVICEIDEVICEID&";
        vec![
            (
                "storm",
                timeline(from, 10, &[&refused, &[], &claims]),
                "@u:example.org DEVICEABCD",
                utc(),
            ),
            (
                "evict",
                timeline(from, 60, &[&noise(90, 6000), &noise(90, 3), &claims]),
                long,
                berlin(),
            ),
            ("one", timeline(from, 10, &[&[7]]), "@u:x D", utc()),
            (
                "huge",
                timeline(from, 1, &[&[u32::MAX; 300], &[u32::MAX; 300], &[1; 300]]),
                "@u:x D",
                utc(),
            ),
            (
                "days",
                timeline("2026-10-23T20:02:10Z", 600, &[&noise(900, 40), &noise(900, 4)]),
                "@u:example.org DEVICEABCD",
                berlin(),
            ),
            (
                "midnight",
                timeline(
                    "2026-11-25T21:10:00Z",
                    300,
                    &[&noise(40, 9), &noise(40, 9), &noise(40, 9)],
                ),
                "37 devices",
                berlin(),
            ),
            // A week by the second: it is added up.
            ("week", timeline(from, 1, &[&noise(604_800, 9000)]), "@u:x D", utc()),
            // As many edges and letters as there can be.
            (
                "worst",
                timeline(from, 7, &[&noise(190, 9000), &noise(190, 99), &noise(190, 9)]),
                "@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B@&%$#8B",
                berlin(),
            ),
        ]
    }

    #[test]
    fn nothing_to_draw_gives_no_picture() {
        let at = "2026-11-25T14:02:10Z";
        for curves in [&[][..], &[&[][..]], &[&[0, 0][..], &[0][..]]] {
            assert!(picture(&timeline(at, 10, curves), "@u:x D", &utc()).is_none(), "{curves:?}");
        }
        let mut endless = timeline(at, 1, &[&[1, 1]]);
        endless.step = SignedDuration::MAX;
        assert!(picture(&endless, "@u:x D", &utc()).is_none());
        // What the storm is made of may be over, and the rest continues.
        assert!(picture(&timeline(at, 10, &[&[0], &[3]]), "@u:x D", &utc()).is_some());
    }

    #[test]
    fn a_foreign_title_is_text_in_two_lines() {
        let title = format!("<script>&\u{1b}\u{202e}\u{ffff}\"{}", "W".repeat(500));
        let svg = chart(&timeline("2026-11-25T14:02:10Z", 10, &[&[7]]), &title, &utc());
        assert!(svg.contains("&lt;script&gt;&amp;\\u{1b}\\u{202e}□&quot;"), "{svg}");
        assert!(!svg.contains(['\u{1b}', '\u{202e}', '\u{ffff}']) && !svg.contains("<script"));
        let lines = title_lines(&title);
        assert_eq!(lines.len(), TITLE_LINES);
        let widest = lines.iter().map(|line| line.chars().count()).max().unwrap();
        assert!(LEFT + widest as f64 * LETTER * TITLE <= RIGHT, "{widest} letters");
        assert!(lines[1].ends_with('…'), "{lines:?}");
        assert_eq!(title_lines("@u:x D"), ["@u:x D"]);
        let odd: String = ('\0'..='\u{ffff}').step_by(97).collect();
        for odd in odd.chars().map(String::from).chain([String::new(), "\u{fffe}".into()]) {
            let timeline = timeline("2026-11-25T14:02:10Z", 10, &[&[7]]);
            let svg = chart(&timeline, &odd, &utc());
            assert!(usvg::Tree::from_str(&svg, &usvg::Options::default()).is_ok(), "{odd:?}");
        }
    }

    #[test]
    fn the_font_has_every_letter_that_is_shown() {
        let letters: String =
            ('\0'..='\u{ffff}').map(shown).collect::<BTreeSet<_>>().iter().collect();
        let options =
            usvg::Options { font_family: FONT.into(), fontdb: FONTS.clone(), ..Default::default() };
        let mut svg = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\">");
        text(&mut svg, (0.0, 9.0), "", &letters);
        let tree = usvg::Tree::from_str(&(svg + "</svg>"), &options).unwrap();
        let Some(usvg::Node::Text(text)) = tree.root().children().first() else {
            panic!("no text: {tree:?}")
        };
        let glyphs: Vec<_> =
            text.layouted().iter().flat_map(|span| &span.positioned_glyphs).collect();
        assert!(glyphs.len() >= letters.chars().count(), "{}", glyphs.len());
        let missing: Vec<_> = glyphs
            .iter()
            .filter(|glyph| glyph.id == usvg::GlyphId(0))
            .map(|glyph| &glyph.text)
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn what_stands_in_the_picture_keeps_inside() {
        for (name, timeline, title, view) in samples() {
            let svg = chart(&timeline, title, &view);
            for line in svg.lines().filter(|line| line.starts_with("<text")) {
                let attribute = |key: &str| {
                    let rest = line.split_once(&format!(" {key}=\""))?.1;
                    Some(rest.split('"').next().unwrap().to_owned())
                };
                let number = |key: &str| attribute(key).and_then(|text| text.parse::<f64>().ok());
                let words = line.split_once('>').unwrap().1.trim_end_matches("</text>");
                let words = words.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
                let wide =
                    words.chars().count() as f64 * LETTER * number("font-size").unwrap_or(SIZE);
                let from = match attribute("text-anchor").as_deref() {
                    Some("end") => number("x").unwrap() - wide,
                    Some("middle") => number("x").unwrap() - wide / 2.0,
                    _ => number("x").unwrap(),
                };
                assert!(from >= LEFT - 1.0 && from + wide <= RIGHT + 1.0, "{name}: {line}");
            }
        }
    }

    /// For the eye: `KESTREL_PICTURES=/tmp/pictures cargo test --lib -- chart` writes what it drew.
    #[test]
    #[allow(clippy::disallowed_methods, reason = "a person asks for the pictures")]
    fn pictures_are_small_and_decode() {
        let folder = std::env::var_os("KESTREL_PICTURES").map(std::path::PathBuf::from);
        for (name, timeline, title, view) in samples() {
            let begun = std::time::Instant::now();
            let picture = picture(&timeline, title, &view).unwrap();
            let took = begun.elapsed().as_millis();
            let decoded = tiny_skia::Pixmap::decode_png(&picture.png).unwrap();
            assert_eq!((decoded.width(), decoded.height()), (picture.width, picture.height));
            assert!(picture.png.len() < 100_000, "{name}: {} bytes", picture.png.len());
            if let Some(folder) = &folder {
                println!("{name}: {took} ms, {} bytes, {}", picture.png.len(), picture.alt);
                std::fs::write(folder.join(format!("{name}.png")), &picture.png).unwrap();
            }
        }
    }
}

//! Curves over two axes, as an SVG that is readable on a light and on a dark page.

use std::fmt::Write as _;

use crate::axis::{Axis, figure};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 50.0;
/// A curve of no more points than these shows them.
const FEW: usize = 10;
/// Told apart by people who see colours differently, too, on white and on black.
const COLOURS: [&str; 5] = ["#7f7f7f", "#0a84d0", "#e07b00", "#1a9e6b", "#b0549c"];
const STYLE: &str = "text{font:12px sans-serif;fill:#24292f}.axis{stroke:#57606a}.grid{stroke:#57606a;stroke-opacity:.25}\
    .curve{fill:none;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.axis,.grid{stroke:#8b949e}}";

/// A plot.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The name of its file, without the ending.
    pub name: &'static str,
    /// The title.
    pub title: &'static str,
    /// The axis to the right.
    pub x: Axis,
    /// The axis upwards.
    pub y: Axis,
    /// The curves.
    pub series: Vec<Series>,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    /// A curve through these points.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points }
    }
}

impl Plot {
    /// The picture.
    pub fn svg(&self) -> String {
        let is_drawn = |point: &&(f64, f64)| point.0.is_finite() && point.1.is_finite();
        let all = || self.series.iter().flat_map(|series| series.points.iter().filter(is_drawn));
        let (xs, ys): (Vec<f64>, Vec<f64>) = all().copied().unzip();
        let (right, up) = (self.x.scale(&xs), self.y.scale(&ys));
        let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let x = |value: f64| LEFT + wide * right.place(value);
        let y = |value: f64| TOP + high * (1.0 - up.place(value));

        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n\
             <title>{}</title>\n<style>{STYLE}</style>\n",
            plain(self.title)
        );
        text(&mut svg, "start", (LEFT, 18.0), self.title);
        for mark in right.marks() {
            let at = x(mark);
            line(&mut svg, "grid", (at, TOP), (at, TOP + high));
            text(&mut svg, "middle", (at, TOP + high + 18.0), &figure(mark));
        }
        for mark in up.marks() {
            let at = y(mark);
            line(&mut svg, "grid", (LEFT, at), (LEFT + wide, at));
            text(&mut svg, "end", (LEFT - 6.0, at + 4.0), &figure(mark));
        }
        line(&mut svg, "axis", (LEFT, TOP + high), (LEFT + wide, TOP + high));
        line(&mut svg, "axis", (LEFT, TOP), (LEFT, TOP + high));
        text(&mut svg, "middle", (LEFT + wide / 2.0, HEIGHT - 10.0), self.x.label());
        text(&mut svg, "start", (6.0, TOP - 6.0), self.y.label());
        for (at, series) in self.series.iter().enumerate() {
            let colour = COLOURS[at % COLOURS.len()];
            let points: Vec<String> = series
                .points
                .iter()
                .filter(is_drawn)
                .map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1)))
                .collect();
            let _ = writeln!(
                svg,
                "<polyline class=\"curve\" stroke=\"{colour}\" points=\"{}\"/>",
                points.join(" ")
            );
            // Few points are seen as what they are: all that was measured.
            if points.len() <= FEW {
                for point in series.points.iter().filter(is_drawn) {
                    let _ = writeln!(
                        svg,
                        "<circle fill=\"{colour}\" r=\"3\" cx=\"{:.1}\" cy=\"{:.1}\"/>",
                        x(point.0),
                        y(point.1)
                    );
                }
            }
            let row = TOP + 10.0 + 20.0 * at as f64;
            let from = LEFT + wide + 14.0;
            let _ = writeln!(svg, "<path class=\"curve\" stroke=\"{colour}\" d=\"M{from:.1} {row:.1}h18\"/>");
            text(&mut svg, "start", (from + 24.0, row + 4.0), &series.name);
        }
        svg + "</svg>\n"
    }
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ =
        writeln!(svg, "<path class=\"{class}\" d=\"M{:.1} {:.1}L{:.1} {:.1}\"/>", from.0, from.1, to.0, to.1);
}

fn text(svg: &mut String, anchor: &str, at: (f64, f64), words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        plain(words)
    );
}

/// Words without signs of XML.
fn plain(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot(series: Vec<Series>) -> String {
        let (x, y) = (Axis::logarithmic("clients"), Axis::linear("commits a second"));
        Plot { name: "test", title: "A < B", x, y, series }.svg()
    }

    #[test]
    fn curves_lie_between_the_axes_and_marks_are_round() {
        let svg = plot(vec![Series::new("floor", vec![(1.0, 1_000.0), (128.0, 4_500.0), (8.0, f64::NAN)])]);
        assert!(
            svg.contains("points=\"70.0,288.0 "),
            "one client is at the left, 1,000 of 5,000 is a fifth: {svg}"
        );
        for words in [
            ">A &lt; B<",
            ">commits a second<",
            ">clients<",
            ">floor<",
            ">5,000<",
            ">200<",
            "prefers-color-scheme:dark",
        ] {
            assert!(svg.contains(words), "{words}: {svg}");
        }
        assert!(!svg.contains("NaN"), "{svg}");
    }
}

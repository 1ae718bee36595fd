//! Lines on logarithmic axes, as SVG.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

use crate::figures::{Figures, Unit, grouped};

/// Colours that people who see few of them can tell apart (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

const WIDTH: u32 = 720;
const HEIGHT: u32 = 400;
/// Between two lines of the legend.
const LINE: u32 = 20;

/// A plot of some rows: its file, its title, what is on it.
pub(crate) struct Plot<'a> {
    pub(crate) file: &'a str,
    pub(crate) title: &'a str,
    /// What the axis across is.
    pub(crate) across: &'a str,
    pub(crate) unit: Unit,
    pub(crate) rows: &'a [&'a str],
}

impl Plot<'_> {
    /// Writes it into a folder; does nothing if there is nothing to show.
    ///
    /// # Errors
    /// Those of writing a file.
    pub(crate) fn write(&self, figures: &Figures, folder: &Path) -> Result<bool, Box<dyn Error>> {
        let lines: Vec<(String, Vec<(f64, f64)>)> = figures
            .rows(self.rows)
            .map(|row| {
                let point = |(services, seconds): (&u32, &f64)| {
                    (f64::from(*services), self.unit.of(*seconds))
                };
                let name = row.name.replace('`', "");
                (name, row.seconds.iter().map(point).collect())
            })
            .collect();
        let points = || lines.iter().flat_map(|(_, points)| points);
        let (across, up) = (
            bounds(points().map(|point| point.0)),
            bounds(points().map(|point| point.1)),
        );
        let (Some(across), Some(up)) = (across, up) else {
            return Ok(false);
        };
        let count = u32::try_from(lines.len())?;
        let path = folder.join(self.file);
        let size = (WIDTH, HEIGHT + LINE * count + LINE / 2);
        let root = SVGBackend::new(&path, size).into_drawing_area();
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(HEIGHT);
        let mut chart = ChartBuilder::on(&above)
            .caption(self.title, ("sans-serif", 18))
            .margin(12)
            .margin_right(28)
            .x_label_area_size(42)
            .y_label_area_size(72)
            .build_cartesian_2d(
                (across.0 * 0.9..across.1 * 1.1).log_scale(),
                (up.0 / 1.5..up.1 * 1.5).log_scale(),
            )?;
        chart
            .configure_mesh()
            .x_desc(self.across)
            .y_desc(self.unit.name())
            .x_label_formatter(&|x| label(*x))
            .y_label_formatter(&|y| label(*y))
            .label_style(("sans-serif", 13))
            .bold_line_style(RGBColor(205, 205, 205))
            .light_line_style(RGBColor(238, 238, 238))
            .draw()?;
        let mut height = 4;
        for ((name, points), colour) in lines.into_iter().zip(COLOURS.into_iter().cycle()) {
            let dots = points
                .iter()
                .map(|point| Circle::new(*point, 3, colour.filled()));
            chart.draw_series(dots)?;
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2)))?;
            let stroke = Rectangle::new([(84, height + 6), (108, height + 9)], colour.filled());
            below.draw(&stroke)?;
            below.draw(&Text::new(name, (116, height), ("sans-serif", 14)))?;
            height += i32::try_from(LINE)?;
        }
        root.present()?;
        Ok(true)
    }
}

fn bounds(numbers: impl Iterator<Item = f64> + Clone) -> Option<(f64, f64)> {
    let least = numbers.clone().reduce(f64::min)?;
    Some((least, numbers.reduce(f64::max)?))
}

fn label(number: f64) -> String {
    if number >= 1.0 {
        grouped(&format!("{number:.0}"))
    } else {
        format!("{number}")
    }
}

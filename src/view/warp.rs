//! The random warp of a training image: rotation, shift, shear and zoom as one affine map, sampled bilinearly.
//!
//! The composition and the order of the draws are those of Keras's `ImageDataGenerator`, its later versions: they sample
//! bilinearly about the true centre, its earlier ones took the nearest pixel.

use crate::stage::Augment;
use crate::view::Draws;

/// What is done to one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Warp {
    /// Radians.
    rotation: f64,
    /// Down and right, as fractions of the side.
    shift: [f64; 2],
    /// Radians.
    shear: f64,
    /// Height and width, each divided by its factor.
    zoom: [f64; 2],
}

/// Where a pixel of the output comes from: `matrix * (y, x) + offset`, in pixels.
#[derive(Debug, Clone, Copy)]
pub struct Affine {
    pub matrix: [[f64; 2]; 2],
    pub offset: [f64; 2],
}

/// The buffers of a thread that warps one image after the other.
#[derive(Debug, Default)]
pub struct Workbench {
    /// The image before the warp, `[size,size,3]`, and zeros behind it, so that every pixel has a neighbour to the right and one below.
    straight: Vec<f32>,
    places: Places,
}

/// Where the pixels of a line come from.
#[derive(Debug, Default)]
struct Places {
    /// Index of the number at the upper left.
    corner: Vec<i32>,
    /// How much the lower neighbours count.
    down: Vec<f32>,
    /// How much the right neighbours count.
    right: Vec<f32>,
}

impl Warp {
    /// Draws a warp. `None`, and nothing is drawn, where no part of it is asked for.
    pub fn draw(augment: &Augment, draws: &mut Draws) -> Option<Warp> {
        let Augment { rotation, shift, shear, zoom, horizontal_flip: _ } = *augment;
        if [rotation, shift, shear.radians, zoom] == [0.0; 4] {
            return None;
        }
        let mut within = |bound: f64| bound * f64::from(2.0 * draws.unit() - 1.0);
        Some(Warp {
            rotation: within(rotation).to_radians(),
            shift: [within(shift), within(shift)],
            shear: within(shear.radians),
            zoom: [1.0 + within(zoom), 1.0 + within(zoom)],
        })
    }

    /// Writes the warped image, `[size,size,3]`, of the one on the workbench. What lies outside is the nearest pixel at the edge.
    pub fn apply(&self, bench: &mut Workbench, to: &mut [f32], size: usize) {
        let affine = self.affine(size);
        bench.places.resize(size);
        for (y, line) in to.chunks_exact_mut(size * 3).enumerate() {
            bench.places.find(affine, y, size);
            sample_line(&bench.straight, size * 3, &bench.places, line);
        }
    }

    /// The map for images of `size` pixels a side: `centre * rotation * shift * shear * zoom * centre^-1`.
    pub fn affine(&self, size: usize) -> Affine {
        let side = size as f64;
        let (sin, cos) = self.rotation.sin_cos();
        let (shear_sin, shear_cos) = self.shear.sin_cos();
        let [zoom_y, zoom_x] = self.zoom;
        let rotated = |[y, x]: [f64; 2]| [cos * y - sin * x, sin * y + cos * x];
        let (first, second) = (rotated([zoom_y, 0.0]), rotated([-shear_sin * zoom_x, shear_cos * zoom_x]));
        let moved = rotated(self.shift.map(|fraction| fraction * side));
        let centre = side / 2.0 - 0.5;
        let matrix = [[first[0], second[0]], [first[1], second[1]]];
        let offset = [0, 1].map(|axis| centre + moved[axis] - centre * (matrix[axis][0] + matrix[axis][1]));
        Affine { matrix, offset }
    }
}

impl Affine {
    /// Every pixel from its own place.
    pub const IDENTITY: Affine = Affine { matrix: [[1.0, 0.0], [0.0, 1.0]], offset: [0.0; 2] };
}

impl Workbench {
    /// Room for the image to be warped: `[size,size,3]`.
    pub fn straight(&mut self, size: usize) -> &mut [f32] {
        // A line more, and what is read with the last pixel of that.
        self.straight.resize((size + 1) * size * 3 + 4, 0.0);
        &mut self.straight[..size * size * 3]
    }
}

impl Places {
    fn resize(&mut self, size: usize) {
        self.corner.resize(size, 0);
        self.down.resize(size, 0.0);
        self.right.resize(size, 0.0);
    }

    /// Those of the line `y`.
    fn find(&mut self, affine: Affine, y: usize, size: usize) {
        let Affine { matrix: [by_y, by_x], offset } = affine;
        let start = [by_y[0] * y as f64 + offset[0], by_x[0] * y as f64 + offset[1]];
        let last = (size - 1) as f64;
        let targets = self.corner.iter_mut().zip(self.down.iter_mut().zip(&mut self.right));
        for (x, (corner, (down, right))) in (0_i32..).zip(targets) {
            let place_y = (start[0] + by_y[1] * f64::from(x)).max(0.0).min(last);
            let place_x = (start[1] + by_x[1] * f64::from(x)).max(0.0).min(last);
            let (row, column) = (place_y as i32, place_x as i32);
            *corner = (row * size as i32 + column) * 3;
            *down = (place_y - f64::from(row)) as f32;
            *right = (place_x - f64::from(column)) as f32;
        }
    }
}

/// Interpolates a line of an image whose lines have `stride` numbers. In the last column and the last line the neighbour is another
/// pixel or a zero, and counts nothing.
fn sample_line(straight: &[f32], stride: usize, places: &Places, line: &mut [f32]) {
    let places = places.corner.iter().zip(places.down.iter().zip(&places.right));
    for (out, (corner, (down, right))) in line.as_chunks_mut::<3>().0.iter_mut().zip(places) {
        let corner = *corner as usize;
        let (upper, lower) = (&straight[corner..corner + 7], &straight[corner + stride..corner + stride + 7]);
        // Four lanes are an instruction, three are not.
        let mut value = [0.0; 4];
        for lane in 0..4 {
            let above = upper[lane] + (upper[lane + 3] - upper[lane]) * right;
            let below = lower[lane] + (lower[lane + 3] - lower[lane]) * right;
            value[lane] = above + (below - above) * down;
        }
        out.copy_from_slice(&value[..3]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stage::Shear;
    use crate::view::Purpose;

    const STILL: Warp = Warp { rotation: 0.0, shift: [0.0; 2], shear: 0.0, zoom: [1.0; 2] };

    fn warped(warp: Warp, image: &[f32], size: usize) -> Vec<f32> {
        let (mut bench, mut warped) = (Workbench::default(), vec![0.0; image.len()]);
        bench.straight(size).copy_from_slice(image);
        warp.apply(&mut bench, &mut warped, size);
        warped
    }

    /// What `warp` makes of a 5×5 image `(7y² + 31x + 5xy) mod 64`; green is red plus 100, blue is 9 everywhere.
    fn red(warp: Warp) -> Vec<f32> {
        let value = |y: usize, x: usize| ((7 * y * y + 31 * x + 5 * x * y) % 64) as f32;
        let image: Vec<f32> = (0..25).flat_map(|place| [value(place / 5, place % 5), value(place / 5, place % 5) + 100.0, 9.0]).collect();
        let warped = warped(warp, &image, 5);
        let pixels = warped.as_chunks::<3>().0;
        assert!(pixels.iter().all(|[red, green, blue]| (green - red - 100.0).abs() < 1e-4 && *blue == 9.0));
        pixels.iter().map(|pixel| pixel[0]).collect()
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-3), "{found:?}");
    }

    /// SciPy 1.17.1, the matrix composed as Keras's `apply_affine_transform` does:
    ///
    /// ```python
    /// import numpy as np; from scipy.ndimage import affine_transform
    /// def warp(image, theta, tx, ty, shear, zx, zy):  # tx along the rows
    ///     rotation = [[np.cos(theta), -np.sin(theta), 0], [np.sin(theta), np.cos(theta), 0], [0, 0, 1]]
    ///     shift = [[1, 0, tx], [0, 1, ty], [0, 0, 1]]
    ///     shearing = [[1, -np.sin(shear), 0], [0, np.cos(shear), 0], [0, 0, 1]]
    ///     zoom = [[zx, 0, 0], [0, zy, 0], [0, 0, 1]]
    ///     c = image.shape[0] / 2 - 0.5
    ///     centre, back = [[1, 0, c], [0, 1, c], [0, 0, 1]], [[1, 0, -c], [0, 1, -c], [0, 0, 1]]
    ///     m = np.linalg.multi_dot([centre, rotation, shift, shearing, zoom, back])
    ///     return affine_transform(image, m[:2, :2], m[:2, 2], order=1, mode="nearest")
    /// y, x = np.mgrid[:5, :5]
    /// image = ((7 * y * y + 31 * x + 5 * x * y) % 64).astype(np.float64)
    /// print(np.round(warp(image, np.deg2rad(20), 0, 0, 0, 1, 1), 4))
    /// print(np.round(warp(image, np.deg2rad(-14), 0.8, -0.55, 0.15, 0.9, 1.12), 4))
    /// ```
    #[test]
    fn a_warp_agrees_with_scipy() {
        #[rustfmt::skip]
        let rotated = [
            5.6326, 15.7731, 39.9937, 53.5635, 35.0557, 22.6313, 24.257, 25.0229, 38.139, 42.0068, 49.5798, 19.9365, 46.0,
            32.7467, 18.9196, 46.7594, 35.5077, 21.8863, 19.7709, 14.0609, 37.5395, 25.3235, 13.298, 39.3676, 55.9767,
        ];
        assert_close(&red(Warp { rotation: 20_f64.to_radians(), ..STILL }), &rotated);
        #[rustfmt::skip]
        let all = [
            4.7994, 26.2751, 26.2473, 44.6001, 22.2181, 18.7367, 19.7509, 26.0674, 32.6613, 6.8921, 43.1255, 43.6136, 31.5599,
            24.3068, 29.1131, 58.4186, 56.836, 38.9865, 21.3576, 23.152, 48.0, 48.0, 37.1146, 22.6193, 12.4363,
        ];
        let warp = Warp { rotation: -14_f64.to_radians(), shift: [0.8 / 5.0, -0.55 / 5.0], shear: 0.15, zoom: [0.9, 1.12] };
        assert_close(&red(warp), &all);
    }

    #[test]
    fn a_warp_that_does_nothing_changes_no_bit() {
        let image: Vec<f32> = (0..4 * 4 * 3).map(|value| value as f32 / 7.0).collect();
        assert_eq!(warped(STILL, &image, 4), image);
    }

    #[test]
    fn parameters_are_uniform_within_their_bounds() {
        let augment = Augment { rotation: 20.0, shift: 0.2, shear: Shear { radians: 0.15 }, zoom: 0.1, horizontal_flip: true };
        let warps: Vec<Warp> =
            (0..10_000).filter_map(|image| Warp::draw(&augment, &mut Draws::new(3, Purpose::View, [1, image]))).collect();
        assert_eq!(warps.len(), 10_000);
        let bound = 20_f64.to_radians();
        let spread = |value: &dyn Fn(&Warp) -> f64| {
            let values: Vec<f64> = warps.iter().map(value).collect();
            let mean = values.iter().sum::<f64>() / 10_000.0;
            assert!(mean.abs() < 0.04, "{mean}"); // six standard deviations of the mean
            assert!(values.iter().all(|value| value.abs() <= 1.0) && values.iter().any(|value| *value > 0.99));
            values.iter().map(|value| value * value).sum::<f64>() / 10_000.0
        };
        let values: [&dyn Fn(&Warp) -> f64; 6] = [
            &|warp| warp.rotation / bound,
            &|warp| warp.shift[0] / 0.2,
            &|warp| warp.shift[1] / 0.2,
            &|warp| warp.shear / 0.15,
            &|warp| (warp.zoom[0] - 1.0) / 0.1,
            &|warp| (warp.zoom[1] - 1.0) / 0.1,
        ];
        // The variance of a uniform number in [-1, 1] is 1/3.
        assert!(values.iter().all(|value| (spread(value) - 1.0 / 3.0).abs() < 0.02));
    }

    #[test]
    fn without_a_warp_nothing_is_drawn() {
        let mut draws = Draws::new(1, Purpose::View, [1, 1]);
        assert_eq!(Warp::draw(&Augment { horizontal_flip: true, ..Augment::default() }, &mut draws), None);
        assert_eq!(draws.bits(), Draws::new(1, Purpose::View, [1, 1]).bits());
    }
}

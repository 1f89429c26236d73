// Loops over numbers that lie as `[rows, channels]`: channels-last images with one row a pixel.
//
// Knows nothing of libtorch, so that `loops.cpp` can be compiled for several generations of processors.
#pragma once

#include <cstdint>

namespace packtrain {

struct Bf16 {
    uint16_t bits;
};

// What a number is computed with.
template <class T> struct Wide { using type = float; };
template <> struct Wide<double> { using type = double; };
template <class T> using WideOf = typename Wide<T>::type;

// On which side of a normalisation the ReLU stands.
enum Order : int { NORM_THEN_RELU = 0, RELU_THEN_NORM = 1 };

// Rows of `channels` numbers that lie `stride` apart.
template <class T> struct Rows {
    T* start;
    int64_t stride;
};

// A window of a pooling over square windows: `[height, width]` to `[out_height, out_width]`, all with `channels`.
struct Pool {
    int64_t height, width, out_height, out_width, channels;
    int64_t side, stride, padding;
};

template <class T> struct Loops {
    using W = WideOf<T>;
    // Adds the sums of `x - pivot` and of its square to `sums` `[2, channels]`.
    void (*sums)(Rows<const T> x, int64_t rows, int64_t channels, const W* pivot, W* sums, Order);
    // y = relu(factor * x + offset), or factor * relu(x) + offset.
    void (*apply)(Rows<const T> x, Rows<T> y, int64_t rows, int64_t channels, const W* factor, const W* offset, Order);
    // Adds the sums of g and of g * (x - mean) to `sums` `[2, channels]`, where g is the gradient as the normalisation has it.
    void (*gradient_sums)(Rows<const T> x, Rows<const T> g, int64_t rows, int64_t channels, const W* numbers, W* sums, Order);
    // dx = slope * g + curve * x + constant, cut off where a ReLU was. `numbers` `[6, channels]`: factor, offset, mean, slope, curve,
    // constant.
    void (*gradient)(Rows<const T> x, Rows<const T> g, Rows<T> dx, int64_t rows, int64_t channels, const W* numbers, Order);
    // One row of the output, with the place of every maximum in its window. `room` has `2 * channels` numbers.
    void (*pool_row)(const Pool&, const T* image, int64_t row, T* output, uint8_t* places, W* room);
    // One row of the input's gradient.
    void (*pool_gradient_row)(const Pool&, const T* gradient, const uint8_t* places, int64_t row, T* output, W* room);
};

// The numbers of an optimizer's step.
struct Sgd {
    float learning_rate, momentum, penalty;
    bool nesterov;
};
struct Adam {
    float step_size, beta1, beta2, eps, root_correction, penalty, shrink;
};

struct StepLoops {
    // Each gives the sum of the squared weights as they were.
    double (*sgd)(const Sgd&, float* weights, const float* gradient, float* velocity, int64_t count);
    double (*adam)(const Adam&, float* weights, const float* gradient, float* mean, float* square, int64_t count);
};

// Those for this processor.
template <class T> const Loops<T>& loops();
const StepLoops& step_loops();

}  // namespace packtrain

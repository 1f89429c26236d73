// The loops of `loops.h`, compiled once for each `PACKTRAIN_LEVEL` of processors and left to the compiler to vectorise.

#include "loops.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace packtrain::PACKTRAIN_LEVEL {

template <class T> static inline WideOf<T> wide(T number) { return number; }
template <> inline float wide(Bf16 number) {
    uint32_t bits = uint32_t(number.bits) << 16;
    float wide;
    std::memcpy(&wide, &bits, sizeof wide);
    return wide;
}

template <class T> static inline T narrow(WideOf<T> number) { return number; }
// To the nearest, ties to even.
template <> inline Bf16 narrow(float number) {
    uint32_t bits;
    std::memcpy(&bits, &number, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // A NaN must not be rounded to an infinity.
    return {uint16_t((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded)};
}

// Lets NaN through, so that a training that diverges is seen to.
template <class W> static inline W relu(W x) { return x < 0 ? 0 : x; }

template <class T, Order order>
static void sums_of(Rows<const T> x, int64_t rows, int64_t channels, const WideOf<T>* __restrict pivot, WideOf<T>* __restrict sums) {
    using W = WideOf<T>;
    W* __restrict squares = sums + channels;
    int64_t row = 0;
    auto distance = [&](const T* line, int64_t c) {
        W number = wide<T>(line[c]);
        return (order == RELU_THEN_NORM ? relu(number) : number) - pivot[c];
    };
    for (; row + 4 <= rows; row += 4) {
        const T* line = x.start + row * x.stride;
        for (int64_t c = 0; c < channels; ++c) {
            W d0 = distance(line, c), d1 = distance(line + x.stride, c);
            W d2 = distance(line + 2 * x.stride, c), d3 = distance(line + 3 * x.stride, c);
            sums[c] += (d0 + d1) + (d2 + d3);
            squares[c] += (d0 * d0 + d1 * d1) + (d2 * d2 + d3 * d3);
        }
    }
    for (; row < rows; ++row) {
        const T* line = x.start + row * x.stride;
        for (int64_t c = 0; c < channels; ++c) {
            W d = distance(line, c);
            sums[c] += d;
            squares[c] += d * d;
        }
    }
}

template <class T, Order order>
static void apply_to(Rows<const T> x, Rows<T> y, int64_t rows, int64_t channels, const WideOf<T>* __restrict factor, const WideOf<T>* __restrict offset) {
    using W = WideOf<T>;
    for (int64_t row = 0; row < rows; ++row) {
        const T* __restrict from = x.start + row * x.stride;
        T* __restrict to = y.start + row * y.stride;
        for (int64_t c = 0; c < channels; ++c) {
            W number = wide<T>(from[c]);
            W normed = (order == RELU_THEN_NORM ? relu(number) : number) * factor[c] + offset[c];
            to[c] = narrow<T>(order == NORM_THEN_RELU ? relu(normed) : normed);
        }
    }
}

template <class T, Order order>
static void gradient_sums_of(Rows<const T> x, Rows<const T> g, int64_t rows, int64_t channels, const WideOf<T>* __restrict numbers, WideOf<T>* __restrict sums) {
    using W = WideOf<T>;
    const W *__restrict factor = numbers, *__restrict offset = factor + channels, *__restrict mean = offset + channels;
    W* __restrict products = sums + channels;
    for (int64_t row = 0; row < rows; ++row) {
        const T* __restrict from = x.start + row * x.stride;
        const T* __restrict gradient = g.start + row * g.stride;
        for (int64_t c = 0; c < channels; ++c) {
            W number = wide<T>(from[c]), slope = wide<T>(gradient[c]);
            if (order == NORM_THEN_RELU) slope = number * factor[c] + offset[c] <= 0 ? 0 : slope;
            if (order == RELU_THEN_NORM) number = relu(number);
            sums[c] += slope;
            products[c] += slope * (number - mean[c]);
        }
    }
}

template <class T, Order order>
static void gradient_of(Rows<const T> x, Rows<const T> g, Rows<T> dx, int64_t rows, int64_t channels, const WideOf<T>* __restrict numbers) {
    using W = WideOf<T>;
    const W *factor = numbers, *offset = factor + channels;
    const W *slope = offset + 2 * channels, *curve = slope + channels, *constant = curve + channels;
    for (int64_t row = 0; row < rows; ++row) {
        const T* __restrict from = x.start + row * x.stride;
        const T* __restrict gradient = g.start + row * g.stride;
        T* __restrict to = dx.start + row * dx.stride;
        for (int64_t c = 0; c < channels; ++c) {
            W number = wide<T>(from[c]), given = wide<T>(gradient[c]);
            if (order == NORM_THEN_RELU) given = number * factor[c] + offset[c] <= 0 ? 0 : given;
            W kept = order == RELU_THEN_NORM ? relu(number) : number;
            W change = slope[c] * given + curve[c] * kept + constant[c];
            to[c] = narrow<T>(order == RELU_THEN_NORM && number <= 0 ? 0 : change);
        }
    }
}

// The first and the last but one place of a window that lies within a side.
struct Span {
    int64_t from, to;
    Span(int64_t window, const Pool& pool, int64_t length) {
        int64_t start = window * pool.stride - pool.padding;
        from = std::max<int64_t>(0, -start);
        to = std::min(pool.side, length - start);
    }
};

template <class T> static void pool_row(const Pool& pool, const T* image, int64_t row, T* output, uint8_t* places, WideOf<T>* room) {
    using W = WideOf<T>;
    const int64_t channels = pool.channels;
    W *__restrict best = room, *__restrict where = room + channels;
    Span rows(row, pool, pool.height);
    for (int64_t column = 0; column < pool.out_width; ++column) {
        Span columns(column, pool, pool.width);
        bool first = true;
        for (int64_t y = rows.from; y < rows.to; ++y) {
            for (int64_t x = columns.from; x < columns.to; ++x) {
                int64_t from = (row * pool.stride - pool.padding + y) * pool.width + column * pool.stride - pool.padding + x;
                const T* __restrict line = image + from * channels;
                const W place = W(y * pool.side + x);
                if (first) {
                    for (int64_t c = 0; c < channels; ++c) best[c] = wide<T>(line[c]), where[c] = place;
                    first = false;
                    continue;
                }
                for (int64_t c = 0; c < channels; ++c) {
                    W number = wide<T>(line[c]);
                    // NaN is the greatest of all, as libtorch has it.
                    W known = best[c], known_place = where[c];
                    bool stays = number <= known || known != known;
                    where[c] = stays ? known_place : place;
                    best[c] = stays ? known : number;
                }
            }
        }
        T* __restrict to = output + column * channels;
        uint8_t* __restrict kept = places + column * channels;
        for (int64_t c = 0; c < channels; ++c) to[c] = narrow<T>(best[c]);
        for (int64_t c = 0; c < channels; ++c) kept[c] = uint8_t(where[c]);
    }
}

// The windows that a place of the input lies in.
struct Windows {
    int64_t from, to;
    Windows(int64_t place, const Pool& pool, int64_t windows) {
        int64_t first = place + pool.padding - pool.side + 1;
        from = first <= 0 ? 0 : (first + pool.stride - 1) / pool.stride;
        to = std::min(windows, (place + pool.padding) / pool.stride + 1);
    }
};

template <class T>
static void pool_gradient_row(const Pool& pool, const T* gradient, const uint8_t* places, int64_t row, T* output, WideOf<T>* room) {
    using W = WideOf<T>;
    const int64_t channels = pool.channels;
    W* __restrict sum = room;
    Windows rows(row, pool, pool.out_height);
    for (int64_t column = 0; column < pool.width; ++column) {
        Windows columns(column, pool, pool.out_width);
        std::fill(sum, sum + channels, W(0));
        for (int64_t y = rows.from; y < rows.to; ++y) {
            for (int64_t x = columns.from; x < columns.to; ++x) {
                int64_t place = (row + pool.padding - y * pool.stride) * pool.side + column + pool.padding - x * pool.stride;
                const T* __restrict from = gradient + (y * pool.out_width + x) * channels;
                const uint8_t* __restrict kept = places + (y * pool.out_width + x) * channels;
                const uint8_t here = uint8_t(place);
                for (int64_t c = 0; c < channels; ++c) {
                    W slope = wide<T>(from[c]);
                    sum[c] += kept[c] == here ? slope : W(0);
                }
            }
        }
        T* __restrict to = output + column * channels;
        for (int64_t c = 0; c < channels; ++c) to[c] = narrow<T>(sum[c]);
    }
}

static double sgd(const Sgd& rule, float* __restrict weights, const float* __restrict gradient, float* __restrict velocity, int64_t count) {
    float sum = 0;
    for (int64_t i = 0; i < count; ++i) {
        float weight = weights[i];
        float slope = gradient[i] + rule.penalty * weight;
        float speed = rule.momentum * velocity[i] + slope;
        velocity[i] = speed;
        weights[i] = weight - rule.learning_rate * (rule.nesterov ? slope + rule.momentum * speed : speed);
        sum += weight * weight;
    }
    return sum;
}

static double adam(
    const Adam& rule, float* __restrict weights, const float* __restrict gradient, float* __restrict mean, float* __restrict square, int64_t count
) {
    float sum = 0;
    for (int64_t i = 0; i < count; ++i) {
        float weight = weights[i];
        float slope = gradient[i] + rule.penalty * weight;
        float first = rule.beta1 * mean[i] + (1 - rule.beta1) * slope;
        float second = rule.beta2 * square[i] + (1 - rule.beta2) * slope * slope;
        mean[i] = first;
        square[i] = second;
        weights[i] = rule.shrink * weight - rule.step_size * first / (std::sqrt(second) / rule.root_correction + rule.eps);
        sum += weight * weight;
    }
    return sum;
}

#define BY_ORDER(name, ...)                                           \
    if (order == NORM_THEN_RELU) name<T, NORM_THEN_RELU>(__VA_ARGS__); \
    else name<T, RELU_THEN_NORM>(__VA_ARGS__);

template <class T> static Loops<T> make() {
    using W = WideOf<T>;
    return {
        [](Rows<const T> x, int64_t rows, int64_t channels, const W* pivot, W* sums, Order order) {
            BY_ORDER(sums_of, x, rows, channels, pivot, sums)
        },
        [](Rows<const T> x, Rows<T> y, int64_t rows, int64_t channels, const W* factor, const W* offset, Order order) {
            BY_ORDER(apply_to, x, y, rows, channels, factor, offset)
        },
        [](Rows<const T> x, Rows<const T> g, int64_t rows, int64_t channels, const W* numbers, W* sums, Order order) {
            BY_ORDER(gradient_sums_of, x, g, rows, channels, numbers, sums)
        },
        [](Rows<const T> x, Rows<const T> g, Rows<T> dx, int64_t rows, int64_t channels, const W* numbers, Order order) {
            BY_ORDER(gradient_of, x, g, dx, rows, channels, numbers)
        },
        pool_row<T>,
        pool_gradient_row<T>,
    };
}

Loops<float> loops_of_float() { return make<float>(); }
Loops<double> loops_of_double() { return make<double>(); }
Loops<Bf16> loops_of_bf16() { return make<Bf16>(); }
StepLoops step_loops() { return {sgd, adam}; }

}  // namespace packtrain::PACKTRAIN_LEVEL

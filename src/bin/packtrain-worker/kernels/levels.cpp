// Chooses among the loops that were compiled.

#include "loops.h"

namespace packtrain {

#define PACKTRAIN_DECLARE(level)      \
    namespace level {                 \
    Loops<float> loops_of_float();    \
    Loops<double> loops_of_double();  \
    Loops<Bf16> loops_of_bf16();      \
    StepLoops step_loops();           \
    }
PACKTRAIN_DECLARE(base)
#if defined(__x86_64__)
PACKTRAIN_DECLARE(avx2)
PACKTRAIN_DECLARE(avx512)
#define PACKTRAIN_CHOOSE(name)                                                                                                      \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&               \
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")                                               \
         ? avx512::name()                                                                                                           \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") ? avx2::name() : base::name())
#else
#define PACKTRAIN_CHOOSE(name) base::name()
#endif

template <> const Loops<float>& loops() {
    static const Loops<float> chosen = PACKTRAIN_CHOOSE(loops_of_float);
    return chosen;
}
template <> const Loops<double>& loops() {
    static const Loops<double> chosen = PACKTRAIN_CHOOSE(loops_of_double);
    return chosen;
}
template <> const Loops<Bf16>& loops() {
    static const Loops<Bf16> chosen = PACKTRAIN_CHOOSE(loops_of_bf16);
    return chosen;
}
const StepLoops& step_loops() {
    static const StepLoops chosen = PACKTRAIN_CHOOSE(step_loops);
    return chosen;
}

}  // namespace packtrain

// Main loop of a simulator under cocotb, with a clock that costs no VPI call.
//
// One time step: callbacks of the step's start, the clock's own edge, timed callbacks, then
// evaluation until the model and the callbacks agree. A callback that an edge wakes runs before
// the model has seen that edge, as in an event-driven simulator: it reads the registers' old
// values, and what it writes takes effect after the edge.

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "model.h"
#include "verilated.h"
#include "verilated_syms.h"
#include "verilated_vpi.h"

extern "C" void vlog_startup_routines_bootstrap(void);

namespace {

constexpr uint64_t never = ~uint64_t{0};

struct Clock {
    CData* pin = nullptr;
    uint64_t half_period = 0;
    uint64_t next_edge = never;
    uint64_t rising_edges = 0;

    void toggle() {
        *pin = !*pin;
        rising_edges += *pin;
        next_edge += half_period;
    }
};

Clock clock_;

void call_value_callbacks() {
    while (VerilatedVpi::callValueCbs()) {}
}

void settle() {
    do {
        do {
            rtloom::evaluate();
            VerilatedVpi::clearEvalNeeded();
            VerilatedVpi::doInertialPuts();
            call_value_callbacks();
        } while (VerilatedVpi::evalNeeded());
        VerilatedVpi::callCbs(cbReadWriteSynch);
        VerilatedVpi::doInertialPuts();
        call_value_callbacks();
    } while (VerilatedVpi::evalNeeded());
    VerilatedVpi::callCbs(cbReadOnlySynch);
}

// Starts the next time step; false when nothing is left to happen.
bool advance(VerilatedContext* context) {
    const uint64_t next = std::min<uint64_t>(VerilatedVpi::cbNextDeadline(), clock_.next_edge);
    if (next == never) return false;
    context->time(next);
    VerilatedVpi::callCbs(cbNextSimTime);
    if (clock_.next_edge == next) clock_.toggle();
    VerilatedVpi::callTimedCbs();
    call_value_callbacks();
    return true;
}

}  // namespace

extern "C" {

// Drives top-level input `port` with a clock, low now, first rising edge after half a period.
// Returns 0, or -1 when it is not a public 1-bit input.
int rtloom_clock_start(const char* port, uint64_t half_period) {
    const VerilatedScope* const scope = Verilated::scopeFind("TOP");
    VerilatedVar* const var = scope ? scope->varFind(port) : nullptr;
    if (!var || var->entBits() != 1 || var->vldir() != VLVD_IN) return -1;
    clock_.pin = static_cast<CData*>(var->datap());
    *clock_.pin = 0;
    clock_.half_period = half_period;
    clock_.next_edge = Verilated::threadContextp()->time() + half_period;
    clock_.rising_edges = 0;
    return 0;
}

void rtloom_clock_stop() { clock_.next_edge = never; }

uint64_t rtloom_clock_rising_edges() { return clock_.rising_edges; }

// Time steps from now to the next rising edge of a running clock.
uint64_t rtloom_clock_to_rise() {
    const uint64_t to_edge = clock_.next_edge - Verilated::threadContextp()->time();
    return *clock_.pin ? to_edge + clock_.half_period : to_edge;
}
}

int main(int argc, char** argv) {
    VerilatedContext* const context = Verilated::threadContextp();
    context->commandArgs(argc, argv);
    Verilated::fatalOnVpiError(false);
    const char* trace_file = nullptr;
    for (int i = 1; i + 1 < argc; ++i) {
        if (!std::strcmp(argv[i], "--trace-file")) trace_file = argv[i + 1];
    }
    context->traceEverOn(trace_file != nullptr);

    rtloom::create_model();
    if (trace_file) rtloom::open_trace(trace_file);
    vlog_startup_routines_bootstrap();
    VerilatedVpi::callCbs(cbStartOfSimulation);
    call_value_callbacks();

    bool running = true;
    while (running && !context->gotFinish()) {
        settle();
        rtloom::dump_trace(context->time());
        running = advance(context);
    }

    rtloom::finish();
    VerilatedVpi::callCbs(cbEndOfSimulation);
    return context->errorCount() > 0;
}

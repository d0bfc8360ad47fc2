// The design-dependent part of the simulator, compiled with each model.

#include "model.h"

#include "Vtop.h"

#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Trace = VerilatedFstC;
#elif VM_TRACE
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#endif

namespace rtloom {

static Vtop* model = nullptr;

void create_model() { model = new Vtop{""}; }

void evaluate() { model->eval(); }

#if VM_TRACE
static Trace* trace = nullptr;

void open_trace(const char* file) {
    constexpr int all_levels = 99;
    trace = new Trace;
    model->trace(trace, all_levels);
    trace->open(file);
}

void dump_trace(uint64_t time) {
    if (trace) trace->dump(time);
}

void finish() {
    model->final();
    if (trace) trace->close();
}
#else
void open_trace(const char*) {}

void dump_trace(uint64_t) {}

void finish() { model->final(); }
#endif

}  // namespace rtloom

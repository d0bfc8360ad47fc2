// The face that a Verilated model shows to the main loop: it lets the main loop and Verilator's
// run-time library be compiled once, while only model.cpp depends on the design.
#pragma once

#include <cstdint>

namespace rtloom {

void create_model();
void evaluate();
void finish();

void open_trace(const char* file);
void dump_trace(uint64_t time);

}  // namespace rtloom

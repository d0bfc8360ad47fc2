// A GEMM core driven by plain C++: the raw speed of the model, without cocotb and VPI.
//
// Usage: simulator A.bin B.bin C.bin M K N. The files hold memory words as Verilator stores them.
// Prints the cycles and seconds of the product, and how many bytes of C differ from C.bin.

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <vector>

#include "Vtop.h"
#include "verilated.h"

namespace {

Vtop* top;

void cycle() {
    top->clk = 0;
    top->eval();
    top->clk = 1;
    top->eval();
}

std::vector<char> contents(const char* path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

template <class Valid, class Address, class Data>
void write_words(Valid& valid, Address& address, Data& data, const std::vector<char>& words) {
    valid = 1;
    for (size_t i = 0; i < words.size() / sizeof data; ++i) {
        address = static_cast<Address>(i);
        std::memcpy(&data, &words[i * sizeof data], sizeof data);
        cycle();
    }
    valid = 0;
}

}  // namespace

int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    top = new Vtop;
    top->rst = 1;
    for (int i = 0; i < 3; ++i) cycle();
    top->rst = 0;
    write_words(top->i_write_a_valid, top->i_write_a_address, top->i_write_a_data, contents(argv[1]));
    write_words(top->i_write_b_valid, top->i_write_b_address, top->i_write_b_data, contents(argv[2]));

    const auto start = std::chrono::steady_clock::now();
    top->i_command_m = std::atoi(argv[4]);
    top->i_command_k = std::atoi(argv[5]);
    top->i_command_n = std::atoi(argv[6]);
    top->i_command_base_a = 0;
    top->i_command_base_b = 0;
    top->i_command_base_c = 0;
    top->i_command_valid = 1;
    cycle();
    top->i_command_valid = 0;
    while (!top->o_response_valid) cycle();
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const uint32_t cycles = top->o_response_cycles;

    const std::vector<char> expected = contents(argv[3]);
    long differing = 0;
    top->i_read_c_valid = 1;
    top->o_read_c_ready = 1;
    for (size_t i = 0; i < expected.size() / sizeof top->o_read_c_data; ++i) {
        top->i_read_c_address = static_cast<uint32_t>(i);
        cycle();
        const size_t size = sizeof top->o_read_c_data;
        const char* const got = reinterpret_cast<const char*>(&top->o_read_c_data);
        for (size_t byte = 0; byte < size; ++byte) {
            differing += got[byte] != expected[i * size + byte];
        }
    }
    std::printf("{\"cycles\": %u, \"seconds\": %.6f, \"differing\": %ld}\n", cycles,
                seconds.count(), differing);
    return 0;
}

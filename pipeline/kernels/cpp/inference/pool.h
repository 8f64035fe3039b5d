// Threads that wait for work. Nothing is allocated while they work.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace bnn {

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

// Waits for a condition: first busily, since a layer of a small network takes some microseconds, then leaving the
// processor to others.
template <typename Condition> void wait_for(Condition condition) {
    for (int i = 0; i < 4000; ++i) {
        if (condition()) return;
        relax();
    }
    while (!condition()) std::this_thread::yield();
}

// Lets threads pass when all have come.
class Barrier {
public:
    explicit Barrier(int threads) : threads_(threads) {}
    void wait() {
        if (threads_ == 1) return;
        const int turn = turn_.load(std::memory_order_relaxed);
        if (arrived_.fetch_add(1, std::memory_order_acq_rel) == threads_ - 1) {
            arrived_.store(0, std::memory_order_relaxed);
            turn_.store(turn + 1, std::memory_order_release);
            return;
        }
        wait_for([&] { return turn_.load(std::memory_order_acquire) != turn; });
    }

private:
    const int threads_;
    std::atomic<int> arrived_{0}, turn_{0};
};

class Pool {
public:
    // Starts all but the calling thread. Throws std::system_error if the system has no more threads.
    explicit Pool(int threads) {
        try {
            for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
        } catch (...) {
            stop();
            throw;
        }
    }
    ~Pool() { stop(); }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // Calls task(number of the thread) in every thread, this one included, and waits for all.
    template <typename Task> void run(Task &&task) {
        if (workers_.empty()) return task(0);
        call_ = [](void *context, int thread) { (*static_cast<std::remove_reference_t<Task> *>(context))(thread); };
        context_ = &task;
        busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            turn_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        task(0);
        wait_for([&] { return busy_.load(std::memory_order_acquire) == 0; });
    }

private:
    void work(int thread) {
        int seen = 0;
        for (;;) {
            for (int i = 0; i < 4000 && turn_.load(std::memory_order_acquire) == seen; ++i) relax();
            if (turn_.load(std::memory_order_acquire) == seen) {
                std::unique_lock<std::mutex> lock(mutex_);
                wake_.wait(lock, [&] { return turn_.load(std::memory_order_acquire) != seen; });
            }
            seen = turn_.load(std::memory_order_acquire);
            if (stopping_) return;
            call_(context_, thread);
            busy_.fetch_sub(1, std::memory_order_acq_rel);
        }
    }
    void stop() {
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            stopping_ = true;
            turn_.fetch_add(1, std::memory_order_release);
        }
        wake_.notify_all();
        for (std::thread &worker : workers_) worker.join();
        workers_.clear();
    }

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<int> turn_{0}, busy_{0};
    bool stopping_ = false;
    void (*call_)(void *, int) = nullptr;
    void *context_ = nullptr;
};

} // namespace bnn
